import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openBus } from "../../../shared/bus/nats/open.js";
import { NodeProcess } from "../../support/cluster/node-process.js";
import { amalgam, type Outcome, withWorkplace } from "../../support/command.js";
import { startNatsServer, whyNoNats } from "../../support/nats-server.js";
import { smallRecipes, writeSmallModels } from "../../support/small-models.js";

// A password that is in NATS's URL, and where it must not be: in no line that anybody prints, and in nothing that is kept.

const reason = whyNoNats();
const binary = fileURLToPath(new URL("../../../coordinator/main.js", import.meta.url));
const password = "p@ss:w0rd/2";
const encoded = encodeURIComponent(password);

test.skipIf(reason !== undefined)(
  `the password of NATS is nowhere but in the URL${reason === undefined ? "" : ` (${reason})`}`,
  async () => {
    await using work = await withWorkplace();
    await using server = await startNatsServer({ user: "ada", password });
    await writeSmallModels(work.path);
    const recipe = await work.write("linear.yaml", smallRecipes.linear);
    const nats = ["--nats", `nats://ada:${encoded}@127.0.0.1:${server.port}`];
    const here = { name: "here", address: "127.0.0.1", prefix: [] };
    const node = (role: string, ...words: readonly string[]): NodeProcess =>
      new NodeProcess(role, here, [process.execPath, binary, role, ...nats, ...words], (line) =>
        line.includes("joined the cluster"),
      );
    await using coordinator = node("coordinator", "--keep-journals", work.at("journals"));
    await using agent = node("agent", "--root", work.path, "--slots", "1", "--no-eval");
    await Promise.all([coordinator.start(), agent.start()]);

    const said: string[] = [];
    const run = async (...argv: readonly string[]): Promise<Outcome> => {
      const outcome = await amalgam(...argv);
      said.push(outcome.stdout, outcome.stderr);
      return outcome;
    };
    expect(await run("submit", recipe, work.at("out"), "--watch", ...nats)).toMatchObject({ code: 0 });
    for (const command of ["status", "nodes", "logs", "doctor"]) {
      expect(await run(command, "--json", ...nats)).toMatchObject({ code: 0 });
    }
    const wrong = [
      `nats://ada:${encoded}x@127.0.0.1:${server.port}`,
      `nats://ada:${encoded}@127.0.0.1:1`,
      `nats://ada:${encoded}@192.0.2.1:4222`,
      `nats://ada:${password}@127.0.0.1:4222`,
      `http://ada:${encoded}@127.0.0.1:4222`,
      `tls://ada:${encoded}@127.0.0.1:${server.port}`,
    ];
    for (const url of wrong) expect((await run("status", "--nats", url)).code).not.toBe(0);
    // What is said while the engine is away and comes back.
    await server.kill();
    expect((await run("nodes", ...nats)).code).not.toBe(0);
    await server.restart();
    await using bus = await openBus({ url: server.url.replace(password, encoded), name: "test" });
    for await (const { body } of bus.events.read({})) said.push(body);
    for (const bucket of [bus.state, bus.nodes]) {
      for (const { key, value } of await bucket.entries("")) said.push(key, value);
    }
    await Promise.all([agent.kill("SIGTERM"), coordinator.kill("SIGTERM")]);
    said.push(agent.output, coordinator.output);
    for (const file of await readdir(work.path, { recursive: true, withFileTypes: true })) {
      if (file.isFile()) said.push(await readFile(join(file.parentPath, file.name), "latin1"));
    }

    const all = said.join("\n");
    expect(all).toContain(`nats://127.0.0.1:${server.port}`);
    for (const secret of [password, encoded, "w0rd"]) expect(all).not.toContain(secret);
  },
);
