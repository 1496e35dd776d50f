import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import { NodeProcess } from "../../support/cluster/node-process.js";
import { at, deployFolder, readDocuments } from "../../support/deploy.js";
import { mergeLocally } from "../../support/merges.js";
import { natsBinaries, natsPath } from "../../support/nats-server.js";
import { hashDirectory } from "../../support/plans.js";
import { repositoryPath } from "../../support/repository.js";

// What compose.yaml starts, started as processes of this machine: the same command lines, environments and NATS
// configuration, each service at a loopback address of its own. What is left for an engine is images and mounts.

interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const reason =
  natsBinaries().find(({ binary }) => binary === "newest")?.reason ??
  (process.platform === "linux" ? undefined : "only Linux has all of 127.0.0.0/8");
const amalgam = repositoryPath("dist/coordinator/main.js");
const services = at(readDocuments("compose.yaml")[0], "services") as Readonly<Record<string, Service>>;

/** In the order in which Compose would start them, but for the two that end by themselves. */
const lasting = ["coordinator-1", "coordinator-2", "agent-1", "agent-2", "agent-3"];

let folder: Awaited<ReturnType<typeof withTempDir>>;
const running: NodeProcess[] = [];

/** Where a service is reached: addresses that no other test uses. */
function addressOf(service: string): string {
  const place = Object.keys(services).indexOf(service) + 1;
  return `127.${100 + (process.pid % 100)}.${(process.pid >> 8) % 250}.${place}`;
}

/** A word of compose.yaml as it is said here. */
function here(word: string, service: string): string {
  const names = Object.keys(services).join("|");
  return (
    word
      // Hosts: all of a word, behind "=" or behind "://". A name before "=" stays a name.
      .replace(new RegExp(`(^|[=,]|://)(${names})(?=$|[,:])`, "g"), (_, before: string, name: string) => {
        return `${before}${addressOf(name)}`;
      })
      .replace("0.0.0.0", addressOf(service))
      .replace(/^\/(certs|models|outputs)/, join(folder.path, "$1"))
  );
}

function processOf(name: string, isUp: (line: string) => boolean): NodeProcess {
  const { command, environment = {} } = services[name] ?? { command: [] };
  const words = (
    command[0]?.includes("exec amalgam") ? (command[0].split("exec amalgam ")[1] ?? "").trim().split(/\s+/) : command
  ).map(
    // A service's own name is what it is called, not where it is.
    (word, i, all) => (all[i - 1] === "--name" ? word : here(word, name)),
  );
  const variables = Object.entries(environment).map(([key, value]) => `${key}=${here(value, name)}`);
  const host = { name, address: addressOf(name), prefix: ["env", ...variables] };
  const started = new NodeProcess(name, host, [process.execPath, amalgam, ...words], isUp);
  running.push(started);
  return started;
}

async function ended(started: NodeProcess): Promise<unknown> {
  // It may be over before it says anything that counts as being up.
  await started.start().catch(() => undefined);
  return started.ended;
}

/** The broker with the files of deploy/nats, whose paths are those of a container. */
async function startBroker(): Promise<void> {
  const configuration = join(folder.path, "nats");
  await cp(join(deployFolder, "nats"), configuration, { recursive: true });
  for (const name of await readdir(configuration)) {
    const text = await readFile(join(configuration, name), "utf8");
    const moved = text
      .replaceAll("/etc/amalgam/tls", join(folder.path, "certs"))
      .replaceAll("/var/lib/nats", join(folder.path, "jetstream"))
      .replaceAll("0.0.0.0", addressOf("nats"));
    await writeFile(join(configuration, name), moved);
  }
  const host = { name: "nats", address: addressOf("nats"), prefix: [] };
  const argv = [natsPath("newest"), "--config", join(configuration, "amalgam.conf")];
  const broker = new NodeProcess("nats", host, argv, (line) => line.includes("Server is ready"));
  running.push(broker);
  await broker.start();
}

describe.skipIf(reason !== undefined)(`compose.yaml${reason === undefined ? "" : ` (${reason})`}`, () => {
  beforeAll(async () => {
    folder = await withTempDir();
    await Promise.all(["certs", "models", "outputs"].map((name) => mkdir(join(folder.path, name))));
    await cp(repositoryPath("examples/digits"), join(folder.path, "models", "digits"), {
      recursive: true,
      filter: (path) => !path.includes("merged"),
    });
  });
  afterAll(async () => {
    for (const started of running.reverse()) await started.kill("SIGTERM");
    await folder[Symbol.asyncDispose]();
  });

  test("its services come up, and merge what its demo merges", async () => {
    expect(await ended(processOf("certificates", () => false))).toBe(0);
    await startBroker();
    await Promise.all(lasting.map((name) => processOf(name, (line) => line.includes("cluster at")).start()));
    const demo = processOf("demo", () => false);
    expect([await ended(demo), demo.output]).toEqual([0, expect.stringContaining("complete")]);
    const merged = join(folder.path, "outputs", "ties");
    const alone = join(folder.path, "outputs", "alone");
    await mergeLocally(join(folder.path, "models/digits/recipes/ties.yaml"), alone, { slots: 2 });
    expect(await hashDirectory(merged)).toEqual(await hashDirectory(alone));
  });
});
