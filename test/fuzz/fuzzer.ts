import { Coverage } from "./coverage.js";
import { createRandom, oneOf, type Random } from "./mutate/random.js";
import { type FuzzTarget, maxInputBytes, maxMilliseconds, type Verdict } from "./target.js";

/** Inputs that run between two looks at the coverage, which takes as long as some hundred of them. */
const batchSize = 512;

/** What is told of a run, as it goes. */
export interface Figures {
  readonly executions: number;
  readonly accepted: number;
  readonly verdicts: number;
  /** Inputs that brought something new. */
  readonly corpus: number;
  /** The share of the target's sources that has run. */
  readonly coverage: number;
}

export interface FuzzOptions {
  readonly corpus: readonly Uint8Array[];
  readonly seed: number;
  /** When to stop: asked after every batch. */
  readonly isOver: (executions: number) => boolean;
  /** Called before every input, so that one that never ends is known. */
  readonly onInput?: (input: Uint8Array) => void;
  readonly onFigures?: (figures: Figures) => void;
}

/** An input for which something did not hold. */
export class Finding extends Error {
  override readonly name = "Finding";
  readonly input: Uint8Array;

  constructor(message: string, input: Uint8Array, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.input = input;
  }
}

/**
 * Feeds a target with mutations of its seeds, its corpus, and whatever has brought a new verdict or run code that had
 * not run before. Ends with the inputs that are worth keeping, or with a {@link Finding}.
 */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<readonly Uint8Array[]> {
  const { corpus, seed, isOver, onInput, onFigures } = options;
  const random = createRandom(seed);
  const verdicts = new Set<Verdict>();
  await using coverage = new Coverage(target.covers);
  await coverage.start();
  const pool = new Pool();
  let [executions, accepted] = [0, 0];

  /** The verdict, and whether it is one that has not been heard before. */
  const execute = async (input: Uint8Array): Promise<readonly [Verdict, boolean]> => {
    onInput?.(input);
    executions += 1;
    const verdict = await runInput(target, input);
    if (verdict.includes("accepted")) accepted += 1;
    const isNew = !verdicts.has(verdict);
    verdicts.add(verdict);
    return [verdict, isNew];
  };
  /** Keeps those that ran what had not run: by halves, since a look at the coverage takes long. */
  const keepRunners = async (inputs: readonly Uint8Array[]): Promise<void> => {
    const before = coverage.snapshot();
    let verdict = "";
    for (const input of inputs) {
      onInput?.(input);
      verdict = await runInput(target, input);
    }
    if ((await coverage.fresh()) === 0) return;
    for (const input of inputs.length === 1 ? inputs : []) pool.add(input, verdict);
    if (inputs.length < 2) return;
    coverage.restore(before);
    await keepRunners(inputs.slice(0, inputs.length / 2));
    await keepRunners(inputs.slice(inputs.length / 2));
  };

  for (const input of [...target.seeds(), ...corpus]) {
    const [verdict, isNew] = await execute(input);
    if ((await coverage.fresh()) > 0 || isNew) pool.add(input, verdict);
  }
  while (!isOver(executions)) {
    const batch: Uint8Array[] = [];
    while (batch.length < batchSize) {
      const input = pool.mutation(target, random);
      const [verdict, isNew] = await execute(input);
      if (isNew) pool.add(input, verdict);
      else batch.push(input);
    }
    const before = coverage.snapshot();
    if ((await coverage.fresh()) > 0) {
      coverage.restore(before);
      await keepRunners(batch);
    }
    onFigures?.({ executions, accepted, verdicts: verdicts.size, corpus: pool.size, coverage: coverage.share });
  }
  return pool.all;
}

/** Those of some inputs that bring something which none before them has brought; the shortest come first. */
export async function distill(target: FuzzTarget, inputs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  const verdicts = new Set<Verdict>();
  await using coverage = new Coverage(target.covers);
  await coverage.start();
  const kept: Uint8Array[] = [];
  for (const input of inputs.toSorted((one, two) => one.length - two.length)) {
    const verdict = await runInput(target, input);
    if ((await coverage.fresh()) > 0 || !verdicts.has(verdict)) kept.push(input);
    verdicts.add(verdict);
  }
  return kept;
}

/** One input, with what must hold of every target. Fails with a {@link Finding}. */
export async function runInput(target: FuzzTarget, input: Uint8Array): Promise<Verdict> {
  // Of the processor: how long it takes by the clock depends on what else runs here.
  const began = process.cpuUsage();
  try {
    const verdict = await target.run(input);
    const { user, system } = process.cpuUsage(began);
    const took = Math.round((user + system) / 1_000);
    if (took > maxMilliseconds) throw new RangeError(`It took ${took} ms`);
    return verdict;
  } catch (error) {
    throw new Finding(`${target.name}: ${error instanceof Error ? error.message : String(error)}`, input, error);
  }
}

/** Inputs that mutations are made of. */
export class Pool {
  readonly #all: Uint8Array[] = [];
  readonly #sound: Uint8Array[] = [];

  get size(): number {
    return this.#all.length;
  }

  get all(): readonly Uint8Array[] {
    return this.#all;
  }

  add(input: Uint8Array, verdict: Verdict): void {
    this.#all.push(input);
    if (verdict.includes("accepted")) this.#sound.push(input);
  }

  /** Of an accepted input as often as of any other, for what is wrong with one hides what else could be. */
  mutation(target: FuzzTarget, random: Random): Uint8Array {
    const all = random(2) === 0 && this.#sound.length > 0 ? this.#sound : this.#all;
    // What was found last has been tried least.
    const parents = random(2) === 0 ? all.slice(-16) : all;
    return target.mutate(oneOf(parents, random), oneOf(this.#all, random), random).subarray(0, maxInputBytes);
  }
}
