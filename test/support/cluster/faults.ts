import { seeded } from "../random.js";

/** What is done to one process. A freeze ends in a thaw or in a kill, everything else in a new start. */
const acts = ["kill", "freeze", "freeze, then kill", "end", "drain"] as const;
export type ProcessAct = (typeof acts)[number];

/** What is done to NATS besides: its data is replaced by that of an earlier moment, or is gone. */
export type EngineAct = "kill" | "freeze" | "restore" | "wipe";

export type Fault = {
  /** Since the one before. */
  readonly afterMs: number;
  /** How long it lasts, at least. */
  readonly lastsMs: number;
} & (
  | { readonly on: "process"; readonly act: ProcessAct; readonly node: string }
  | { readonly on: "engine"; readonly act: EngineAct; readonly node: string }
  | { readonly on: "link"; readonly act: "cut"; readonly ends: readonly [string, string] }
);

/** Who may be hit. */
export interface Targets {
  readonly nats: string;
  readonly coordinators: readonly string[];
  readonly agents: readonly string[];
  /** Whether hosts can be cut off from one another. */
  readonly canCut: boolean;
}

/** How often a kind of fault comes, and how long it lasts. */
interface Kind {
  readonly weight: number;
  readonly lastsMs: readonly [least: number, most: number];
  readonly make: (targets: Targets, pick: Pick) => FaultWithoutTimes;
}

type FaultWithoutTimes =
  | { on: "process"; act: ProcessAct; node: string }
  | { on: "engine"; act: EngineAct; node: string }
  | { on: "link"; act: "cut"; ends: readonly [string, string] };

type Pick = (names: readonly string[]) => string;

const agent =
  (act: ProcessAct): Kind["make"] =>
  ({ agents }, pick) => ({ on: "process", act, node: pick(agents) });
const coordinator =
  (act: ProcessAct): Kind["make"] =>
  ({ coordinators }, pick) => ({ on: "process", act, node: pick(coordinators) });
const engine =
  (act: EngineAct): Kind["make"] =>
  ({ nats }) => ({ on: "engine", act, node: nats });

/** A leader that is silent for less than 5 s keeps its job, and one that is silent for longer loses it: both must come. */
const processKinds: readonly Kind[] = [
  { weight: 16, lastsMs: [100, 2_000], make: agent("kill") },
  { weight: 48, lastsMs: [100, 4_000], make: agent("freeze") },
  { weight: 8, lastsMs: [100, 8_000], make: agent("freeze, then kill") },
  { weight: 16, lastsMs: [100, 1_500], make: agent("end") },
  { weight: 10, lastsMs: [100, 1_500], make: agent("drain") },
  { weight: 2, lastsMs: [100, 1_500], make: coordinator("kill") },
  { weight: 2, lastsMs: [300, 9_000], make: coordinator("freeze") },
  { weight: 1, lastsMs: [300, 9_000], make: coordinator("freeze, then kill") },
  { weight: 2, lastsMs: [100, 1_000], make: coordinator("end") },
  { weight: 2, lastsMs: [50, 1_500], make: engine("kill") },
  { weight: 2, lastsMs: [200, 3_000], make: engine("freeze") },
  { weight: 1, lastsMs: [50, 500], make: engine("restore") },
  { weight: 1, lastsMs: [50, 500], make: engine("wipe") },
];

const linkKinds: readonly Kind[] = [
  { weight: 32, lastsMs: [200, 8_000], make: cut("coordinators", "agents") },
  { weight: 16, lastsMs: [200, 6_000], make: cut("agents", "nats") },
  { weight: 4, lastsMs: [200, 6_000], make: cut("coordinators", "nats") },
  { weight: 20, lastsMs: [200, 6_000], make: cut("agents", "agents") },
];

function cut(from: "coordinators" | "agents", to: "agents" | "nats"): Kind["make"] {
  return (targets, pick) => {
    const one = pick(targets[from]);
    const other = to === "nats" ? targets.nats : pick(targets[to].filter((name) => name !== one));
    return { on: "link", act: "cut", ends: [one, other] };
  };
}

/** Faults without end, the same ones for the same seed. `everyMs`: between two, on average. */
export function* faultsOf(seed: number, targets: Targets, everyMs: number): Generator<Fault, never> {
  const random = seeded(seed);
  const between = (least: number, most: number): number => Math.round(least + (most - least) * random());
  const oneOf = <T>(list: readonly T[]): T => {
    const item = list[Math.floor(random() * list.length)];
    if (item === undefined) throw new RangeError("There is nobody to hit");
    return item;
  };
  const kinds = targets.canCut ? [...processKinds, ...linkKinds] : processKinds;
  const tickets = kinds.flatMap((kind) => Array.from({ length: kind.weight }, () => kind));
  for (;;) {
    const { make, lastsMs } = oneOf(tickets);
    const [least, most] = lastsMs;
    yield { afterMs: between(0, 2 * everyMs), lastsMs: between(least, most), ...make(targets, oneOf) };
  }
}

/** `agent-2: kill` */
export function nameOf(fault: Fault): string {
  return fault.on === "link" ? `${fault.ends.join(" and ")}: cut` : `${fault.node}: ${fault.act}`;
}
