import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Role } from "../../../shared/rpc/tls/identity.js";
import { type Outcome, type RunningCommand, startAmalgam } from "../command.js";
import { configureNats } from "../nats-configuration.js";
import { type CertificateOptions, type Certificates, TestAuthority, tlsWords } from "./certificates.js";
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
  /** Mutual TLS, and permissions of NATS for each role. @default where hosts have addresses of their own */
  readonly secured?: boolean;
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
  return noNamespaces();
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
  readonly #certificates: Issued | undefined;
  readonly #another: (number: number, name: string) => Promise<NodeProcess>;

  private constructor(parts: {
    folder: string;
    network: Network;
    nats: NodeProcess;
    coordinators: readonly NodeProcess[];
    agents: readonly NodeProcess[];
    words: readonly string[];
    natsData: string;
    certificates: Issued | undefined;
    another: (number: number, name: string) => Promise<NodeProcess>;
  }) {
    this.folder = parts.folder;
    this.network = parts.network;
    this.nats = parts.nats;
    this.coordinators = parts.coordinators;
    this.agents = parts.agents;
    this.#words = parts.words;
    this.#natsData = parts.natsData;
    this.#certificates = parts.certificates;
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
      const tls =
        (options.secured ?? wantsHosts)
          ? await issueAll(join(folder, "certificates"), names, (name) => network.host(name).address)
          : undefined;
      const natsData = options.natsData ?? join(folder, "nats-data");
      const { process: nats, url } = await natsServer(options, network, natsData, tls?.get("nats"));
      const wordsOf = (name: string): readonly string[] => {
        const files = tls?.get(name);
        return ["--nats", url, ...(files === undefined ? [] : tlsWords(files))];
      };
      const program = (entry: string, name: string, host: Host, ...argv: readonly string[]): NodeProcess => {
        const line = [process.execPath, entry, ...argv, ...wordsOf(name), "--name", name];
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
        words: wordsOf("client"),
        natsData,
        certificates: tls,
        coordinators: names.coordinators.map((name) =>
          program(binary, name, network.host(name), "coordinator", ...coordinatorOptions),
        ),
        agents: names.agents.map((name, index) => agent(index + 1, name)),
        another: async (number, name) => {
          const { address } = network.host(at(names.agents, number - 1));
          const options: CertificateOptions = { roles: ["agent"], hosts: [address] };
          if (tls !== undefined) tls.set(name, await tls.authority.issue(name, options));
          return agent(number, name);
        },
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

  /** Who signs the cluster's certificates, and the certificates by node. */
  get certificates(): Issued {
    if (this.#certificates === undefined) throw new Error("The cluster has no certificates");
    return this.#certificates;
  }

  get nodes(): readonly NodeProcess[] {
    return [this.nats, ...this.coordinators, ...this.agents];
  }

  agent(number: number): NodeProcess {
    return at(this.agents, number - 1);
  }

  /** One more agent, like the numbered one in all but its name. Not started, and not ended with the cluster. */
  anotherAgent(number: number, name: string): Promise<NodeProcess> {
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
  if (!existsSync(nats)) throw new Error(`There is no nats-server at ${nats}`);
  await mkdir(data, { recursive: true });
  const listen = `${host.address}:${port}`;
  const config =
    tls === undefined
      ? await openConfiguration(folder, listen, data)
      : configureNats({ folder: join(folder, "nats"), nats, listen, tls, data });
  const url = `${tls === undefined ? "nats" : "tls"}://${host.address}:${port}`;
  return {
    process: new NodeProcess("nats", host, [nats, "-c", config], (line) => line.includes("Server is ready")),
    url,
  };
}

/** On loopback, where whoever is there may do everything. */
async function openConfiguration(folder: string, listen: string, data: string): Promise<string> {
  const config = join(folder, "nats.conf");
  await writeFile(config, `listen: "${listen}"\njetstream { store_dir: "${data}" }\n`);
  return config;
}

/** A certificate for each host of the cluster, by name. */
export class Issued extends Map<string, Certificates> {
  readonly authority: TestAuthority;

  constructor(authority: TestAuthority) {
    super();
    this.authority = authority;
  }
}

async function issueAll(
  folder: string,
  names: { readonly coordinators: readonly string[]; readonly agents: readonly string[] },
  addressOf: (name: string) => string,
): Promise<Issued> {
  const issued = new Issued(await TestAuthority.make(folder));
  const add = async (name: string, ...roles: readonly Role[]): Promise<void> => {
    issued.set(name, await issued.authority.issue(name, { roles, hosts: [addressOf(name)] }));
  };
  await add("nats");
  // Whoever types commands hands in jobs, and now and then merges with the cluster's agents.
  await add("client", "operator", "coordinator");
  for (const name of names.coordinators) await add(name, "coordinator");
  for (const name of names.agents) await add(name, "agent");
  return issued;
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
