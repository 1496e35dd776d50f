import { mkdir, readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cluster } from "../../support/cluster/cluster.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";
import { whyNoNginx } from "../../support/remote/nginx.js";
import { digestOf, serveFamily } from "../../support/remote-family.js";

// Models on a web server, merged by a cluster: whoever leads finds them, and every agent reads them by itself.

const reason = whyNoNats() ?? whyNoNginx();

describe.skipIf(reason !== undefined)(`models on servers${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("the leader is killed: the next one goes on with the models that the job began with", async () => {
    await using family = await serveFamily();
    const { work, recipe } = await family.workplace();
    const file = await recipe("linear");
    const outputs = join(await realpath(work), "outputs");
    await mkdir(outputs);
    await using cluster = await Cluster.start({
      folder: work,
      nats: natsPath(),
      agents: 1,
      network: "loopback",
      rootsOf: () => [outputs, family.url],
      coordinatorOptions: ["--allow-source", family.url],
      agentOptions: () => ["--io-limit", "2MiB"],
    });
    const output = join(outputs, "out");
    await using watch = cluster.start("submit", file, output, "--watch", "--json", "--unit-size", "65536");
    const led = await watch.line((line) => /"leader":"coordinator-/.test(line));
    await watch.event("unit finished", 3);
    const leader = cluster.coordinators.find(({ name }) => led.includes(`"${name}"`));
    await leader?.kill();
    expect(await watch.ended).toMatchObject({ code: 0 });
    expect(watch.events.filter(({ event }) => event === "resumed")).toHaveLength(1);
    expect(await digestOf(output)).toBe(await family.golden("linear"));
    expect(await readdir(outputs)).toEqual(["out"]);
  });
});
