import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Outcome, type RunningCommand, startAmalgam } from "../command.js";
import { type Certificates, makeCertificates, noOpenssl } from "./certificates.js";
import { createLoopback, createNamespaces, type Host, type Network, noNamespaces } from "./network.js";
import { NodeProcess } from "./node-process.js";

const binary = fileURLToPath(new URL("../../../coordinator/main.js", import.meta.url));

export interface ClusterOptions {
  /** For models, outputs, certificates and NATS's data. */
  readonly folder: string;
  /** Path of the nats-server. */
  readonly nats: string;
  /** @default 2 */
  readonly coordinators?: number;
  /** @default 5 */
  readonly agents?: number;
  /** `namespaces` where they are permitted. @default "namespaces" */
  readonly network?: "namespaces" | "loopback";
  /** Roots of an agent, counted from 1. @default the folder */
  readonly rootsOf?: (agent: number) => readonly string[];
  /** More words for an agent's command line. */
  readonly agentOptions?: (agent: number) => readonly string[];
  /** The module that an agent is started from, such as one that is broken on purpose. @default the one that ships */
  readonly agentEntry?: (agent: number) => string | undefined;
  readonly coordinatorOptions?: readonly string[];
  /** Where NATS stores its data. @default a folder below the folder */
  readonly natsData?: string;
}

/** A job that was submitted. */
export interface SubmittedJob {
  readonly id: string;
  readonly output: string;
}

/** Why a cluster of hosts with addresses of their own cannot be had here, if it cannot. */
export function noHosts(): string | undefined {
  return noNamespaces() ?? noOpenssl();
}

/**
 * A real cluster: nats-server, coordinators and agents as processes, each on a host of its own where that is permitted,
 * mutual TLS between them then. Everything ends with the scope.
 */
export class Cluster implements AsyncDisposable {
  readonly folder: string;
  readonly network: Network;
  readonly nats: NodeProcess;
  readonly coordinators: readonly NodeProcess[];
  readonly agents: readonly NodeProcess[];
  readonly #words: readonly string[];
  readonly #natsData: string;
  readonly #another: (number: number, name: string) => NodeProcess;

  private constructor(parts: {
    folder: string;
    network: Network;
    nats: NodeProcess;
    coordinators: readonly NodeProcess[];
    agents: readonly NodeProcess[];
    words: readonly string[];
    natsData: string;
    another: (number: number, name: string) => NodeProcess;
  }) {
    this.folder = parts.folder;
    this.network = parts.network;
    this.nats = parts.nats;
    this.coordinators = parts.coordinators;
    this.agents = parts.agents;
    this.#words = parts.words;
    this.#natsData = parts.natsData;
    this.#another = parts.another;
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const { folder, coordinators = 2, agents = 5 } = options;
    const names = {
      coordinators: Array.from({ length: coordinators }, (_, i) => `coordinator-${i + 1}`),
      agents: Array.from({ length: agents }, (_, i) => `agent-${i + 1}`),
    };
    const hosts = ["nats", "client", ...names.coordinators, ...names.agents];
    const wantsHosts = options.network !== "loopback" && noHosts() === undefined;
    const network = wantsHosts ? createNamespaces(hosts) : createLoopback(hosts);
    try {
      const tls = wantsHosts
        ? makeCertificates(
            join(folder, "certificates"),
            hosts.map((name) => network.host(name).address),
          )
        : undefined;
      const natsData = options.natsData ?? join(folder, "nats-data");
      const { process: nats, url } = await natsServer(options, network, natsData, tls);
      const words = ["--nats", url, ...tlsWords(tls)];
      const program = (entry: string, name: string, host: Host, ...argv: readonly string[]): NodeProcess => {
        const line = [process.execPath, entry, ...argv, ...words, "--name", name];
        return new NodeProcess(name, host, line, (text) => text.includes("joined the cluster"));
      };
      const { rootsOf = () => [folder], agentOptions = () => [], coordinatorOptions = [], agentEntry } = options;
      const agent = (number: number, name: string): NodeProcess => {
        const host = network.host(at(names.agents, number - 1));
        const roots = rootsOf(number).flatMap((root) => ["--root", root]);
        const argv = [...roots, "--host", host.address, "--slots", "1", ...agentOptions(number)];
        return program(agentEntry?.(number) ?? binary, name, host, "agent", ...argv);
      };
      const cluster = new Cluster({
        folder,
        network,
        nats,
        words,
        natsData,
        coordinators: names.coordinators.map((name) =>
          program(binary, name, network.host(name), "coordinator", ...coordinatorOptions),
        ),
        agents: names.agents.map((name, index) => agent(index + 1, name)),
        another: agent,
      });
      try {
        await nats.start();
        await Promise.all([...cluster.coordinators, ...cluster.agents].map((node) => node.start()));
        return cluster;
      } catch (error) {
        await cluster.#end();
        throw error;
      }
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where the test's own process reaches NATS: on loopback only. */
  get natsUrl(): string {
    return at(this.#words, 1);
  }

  get nodes(): readonly NodeProcess[] {
    return [this.nats, ...this.coordinators, ...this.agents];
  }

  agent(number: number): NodeProcess {
    return at(this.agents, number - 1);
  }

  /** One more agent, like the numbered one in all but its name. Not started, and not ended with the cluster. */
  anotherAgent(number: number, name: string): NodeProcess {
    return this.#another(number, name);
  }

  coordinator(number: number): NodeProcess {
    return at(this.coordinators, number - 1);
  }

  /** A command as somebody at the host "client" types it. */
  start(...argv: readonly string[]): RunningCommand {
    const [command = "", ...rest] = argv;
    return startAmalgam([command, ...this.#words, ...rest], { prefix: this.network.host("client").prefix });
  }

  async run(...argv: readonly string[]): Promise<Outcome> {
    await using command = this.start(...argv);
    return await command.ended;
  }

  /** Resolves when the job is planned. */
  async submit(recipe: string, output: string, ...argv: readonly string[]): Promise<SubmittedJob> {
    const outcome = await this.run("submit", recipe, output, "--json", ...argv);
    const line = outcome.stdout.split("\n").find((text) => text.includes('"submitted"'));
    if (line === undefined) throw new Error(`Nothing was submitted:\n${outcome.stdout}${outcome.stderr}`);
    return { id: (JSON.parse(line) as { job: string }).job, output };
  }

  /** Stops the engine, has its data changed, and starts it again. */
  async changeEngineData(change: (data: string) => Promise<void>): Promise<void> {
    await this.nats.kill();
    await change(this.#natsData);
    await mkdir(this.#natsData, { recursive: true });
    await this.nats.start();
  }

  wipeEngine(): Promise<void> {
    return this.changeEngineData((data) => rm(data, { recursive: true, force: true }));
  }

  /** Everybody runs, nothing is cut: as at the start. */
  async heal(): Promise<void> {
    this.network.mendAll();
    for (const node of this.nodes) if (node.isFrozen) node.thaw();
    await this.nats.start();
    await Promise.all([...this.coordinators, ...this.agents].map((node) => node.start()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    await this.network[Symbol.asyncDispose]();
  }

  async #end(): Promise<void> {
    await Promise.all([...this.coordinators, ...this.agents].map((node) => node.kill()));
    await this.nats.kill();
  }
}

async function natsServer(
  { nats, folder }: ClusterOptions,
  network: Network,
  data: string,
  tls: Certificates | undefined,
): Promise<{ process: NodeProcess; url: string }> {
  const host = network.host("nats");
  const port = network.kind === "loopback" ? await freePort() : 4222;
  const lines = [
    `listen: "${host.address}:${port}"`,
    `jetstream { store_dir: "${data}" }`,
    ...(tls === undefined
      ? []
      : [`tls { cert_file: "${tls.certificate}", key_file: "${tls.key}", ca_file: "${tls.ca}", verify: true }`]),
  ];
  const config = join(folder, "nats.conf");
  await mkdir(data, { recursive: true });
  await writeFile(config, lines.join("\n"));
  if (!existsSync(nats)) throw new Error(`There is no nats-server at ${nats}`);
  const url = `${tls === undefined ? "nats" : "tls"}://${host.address}:${port}`;
  return {
    process: new NodeProcess("nats", host, [nats, "-c", config], (line) => line.includes("Server is ready")),
    url,
  };
}

function tlsWords(tls: Certificates | undefined): readonly string[] {
  return tls === undefined ? [] : ["--tls-ca", tls.ca, "--tls-cert", tls.certificate, "--tls-key", tls.key];
}

async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return typeof address === "object" && address !== null ? address.port : 0;
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`No number ${index + 1} of ${list.length}`);
  return item;
}
