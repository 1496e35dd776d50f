import { CoordinatorService } from "../../coordinator/cluster/service.js";
import type { Unit } from "../../coordinator/plan/types.js";
import type { JobRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { textLog } from "../../shared/log/text-log.js";
import { seeded } from "../support/random.js";
import { Auditor } from "./auditor.js";
import type { Bugs } from "./bugs.js";
import { MemoryEngine } from "./memory-bus.js";
import { Network } from "./network.js";
import { SimProcess } from "./process.js";
import { SharedDisk } from "./shared-disk.js";
import { type Mishap, SimAgent } from "./sim-agent.js";
import { createSimLead } from "./sim-lead.js";
import { makeSimJob, type SimJob } from "./sim-plan.js";
import { submitAndWait } from "./sim-submitter.js";
import { outputName } from "./sim-take-over.js";
import { VirtualClock } from "./virtual-clock.js";

const beatMs = 2_000;
const leaseTtlMs = 5_000;
/** A process that ended, or was not needed any more, is started again after so long. */
const restartMs = 1_000;
const leavingMs = 60_000;
const year2026Ms = 1_767_225_600_000;

/** What a cluster is made of. */
export interface Shape {
  readonly coordinators: number;
  readonly agents: readonly { readonly slots: number; readonly speed: number }[];
  readonly tensors: number;
  /** How fast each process's clock goes, by name; those not named go with the world's. */
  readonly rates: ReadonlyMap<string, number>;
  /** How wrong each coordinator's date is, in milliseconds. */
  readonly dates: ReadonlyMap<string, number>;
}

interface Coordinator {
  readonly process: SimProcess;
  readonly service: CoordinatorService;
  /** As SIGTERM. */
  readonly leave: () => void;
  hasLeft: boolean;
}

/** A cluster with one job in it, all of it on one virtual clock. What it does is decided by its seed. */
export class SimCluster {
  readonly clock = new VirtualClock();
  readonly random: () => number;
  readonly engine: MemoryEngine;
  readonly network: Network;
  readonly disk = new SharedDisk();
  readonly job: SimJob;
  readonly auditor: Auditor;
  readonly coordinators = new Map<string, Coordinator>();
  readonly agents = new Map<string, SimAgent>();
  readonly trace: string[] = [];
  readonly bugs: Bugs;
  readonly #shape: Shape;
  readonly #listening = new Map<string, SimAgent>();
  #starts = 0;
  #isQuiet = false;
  /** What happens to a unit on an agent. */
  mishap: (agent: string, unit: Unit) => Mishap | undefined = () => undefined;
  /** Set when a unit fails wherever it is run: how often it was tried. The job must fail then. */
  triedInVain: number | undefined;
  /** Called before a coordinator appends to its journal. */
  onJournalWrite: (coordinator: SimProcess) => void = () => undefined;
  /** Called before a coordinator shows the output. */
  onPublish: (coordinator: SimProcess) => void = () => undefined;
  /** The job's record when it was over. */
  ended: JobRecord | undefined;

  constructor(seed: number, shape: Shape, bugs: Bugs) {
    this.random = seeded(seed ^ 0x5eed);
    this.#shape = shape;
    this.bugs = bugs;
    this.engine = new MemoryEngine(this.clock);
    this.network = new Network(this.clock, this.random);
    this.job = makeSimJob(shape.tensors, this.random);
    this.auditor = new Auditor(this.job, this.disk, (line) => this.say(line));
  }

  say(line: string): void {
    this.trace.push(`${(this.clock.now() / 1000).toFixed(3)} ${line}`);
  }

  start(): void {
    for (let i = 0; i < this.#shape.coordinators; i += 1) this.startCoordinator(`c${i}`);
    for (let i = 0; i < this.#shape.agents.length; i += 1) this.startAgent(`a${i}`);
    const client = this.#spawn("client");
    void submitAndWait(client, (line) => this.say(line)).then((record) => {
      this.ended = record;
      this.say(`the job is ${record.state}${record.reason === undefined ? "" : `: ${record.reason}`}`);
    });
  }

  startCoordinator(name: string): void {
    const process = this.#spawn(name);
    const stop = new AbortController();
    const date = (): number => year2026Ms + process.clock.now() + (this.#shape.dates.get(name) ?? 0);
    const { disk, job, auditor, bugs, network, random } = this;
    const lead = createSimLead({
      disk,
      process,
      job,
      auditor,
      bugs,
      network,
      date,
      agentAt: (address) => this.#listening.get(address),
      onJournalWrite: () => this.onJournalWrite(process),
      onPublish: () => this.onPublish(process),
    });
    const service = new CoordinatorService(process.bus, {
      name,
      instance: process.instance,
      clock: process.clock,
      lead,
      beatMs,
      leaseTtlMs,
      random,
      date: () => new Date(date()),
      log: textLog((line) => this.say(`${name}: ${line}`)),
    });
    const leave = (): void => process.clock.whenRunning(() => stop.abort());
    const coordinator = { process, service, leave, hasLeft: false };
    this.coordinators.set(name, coordinator);
    const again = (reason?: unknown): void => {
      if (reason !== undefined) this.say(`${name} ended: ${AmalgamError.from(reason).message}`);
      coordinator.hasLeft = true;
      if (!this.#isQuiet) this.clock.after(restartMs, () => this.restartCoordinator(name));
    };
    service.run(stop.signal).then(() => again(), again);
  }

  /** Kills what is left of it, and starts another one of the same name. */
  restartCoordinator(name: string): void {
    this.coordinators.get(name)?.process.kill();
    this.network.changed();
    this.startCoordinator(name);
  }

  startAgent(name: string): void {
    const { slots, speed } = this.#shape.agents[Number(name.slice(1))] ?? { slots: 1, speed: 1 };
    const process = this.#spawn(name);
    const { disk, job, auditor, bugs } = this;
    const agent = new SimAgent(process, {
      slots,
      speed,
      beatMs,
      disk,
      job,
      auditor,
      bugs,
      mishap: (where, unit) => this.mishap(where, unit),
    });
    this.agents.set(name, agent);
    this.#listening.set(agent.address, agent);
    void agent.start();
  }

  kill(name: string): void {
    this.processOf(name)?.kill();
    this.#listening.delete(`${name}:1`);
    this.network.changed();
  }

  processOf(name: string): SimProcess | undefined {
    return this.coordinators.get(name)?.process ?? this.agents.get(name)?.process;
  }

  get names(): readonly string[] {
    return [...this.coordinators.keys(), ...this.agents.keys()];
  }

  /** Everybody crashes, the storage too, and comes back. The engine may come back with what it had some time ago. */
  losePower(): void {
    for (const name of this.names) this.kill(name);
    this.disk.losePower(this.random);
    this.auditor.powerLost(this.disk.get(outputName));
    this.clock.after(restartMs, () => {
      for (const name of this.coordinators.keys()) this.startCoordinator(name);
      for (const name of this.agents.keys()) this.startAgent(name);
    });
  }

  /** Everything works again, and all coordinators are told to leave. False: some do not. */
  async leave(): Promise<boolean> {
    this.#isQuiet = true;
    this.makePeace();
    const left = [...this.coordinators.values()].filter(({ process }) => !process.isDead);
    for (const { leave } of left) leave();
    return this.clock.advanceUntil(() => left.every(({ hasLeft, process }) => hasLeft || process.isDead), leavingMs);
  }

  /** From here on everything works. */
  makePeace(): void {
    this.network.healAll();
    this.network.lostPart = 0;
    this.engine.before = undefined;
    if (!this.engine.isUp) this.engine.start();
    for (const name of this.names) {
      const process = this.processOf(name);
      if (process === undefined || process.isDead) continue;
      process.bus.isPartitioned = false;
      if (process.clock.isFrozen) process.thaw();
    }
  }

  #spawn(name: string): SimProcess {
    this.#starts += 1;
    const rate = this.#shape.rates.get(name) ?? 1;
    return new SimProcess(this.clock, this.engine, name, { instance: `${name}#${this.#starts}`, rate });
  }
}
