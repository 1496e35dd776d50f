import { dtypeBits, isDtype } from "../../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { MergedModel, Piece, SourceFile, TensorSource } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { unlessAborted } from "../../shared/unless-aborted.js";
import { Arena, packInputs, type WantedInput } from "./arena.js";
import { inputKey, isDerived } from "./input-key.js";
import type { Ledger } from "./ledger.js";
import { pagesOf } from "./scratch.js";
import type { TrialContext } from "./trial-context.js";
import { Turns } from "./turns.js";

/** Inputs are held in files of about this size, which come and go as a whole. */
const arenaBytes = 64 << 20;

/** That are brought at once: one is being read, and the next is there. A large model has more than may wait for workers. */
const arenasPerWorker = 2;

/** By piece, then by input. */
type Keys = readonly (readonly string[])[];

/** A model whose pieces read from memory what is there. */
export interface BroughtModel extends Disposable {
  readonly sources: readonly SourceFile[];
  readonly pieces: readonly Piece[];
  /** Bytes of inputs that were not in memory before. */
  readonly fetchedBytes: number;
}

/**
 * Inputs of trials, held in memory from one to the next: each as it is stored, or as F32 when it is put together. One
 * that finds no room is read from where it is.
 */
export class ResidentInputs {
  readonly #ledger: Ledger;
  readonly #turns: Turns;
  readonly #arenaOf = new Map<string, Arena>();
  readonly #arenas = new Set<Arena>();

  /** `workers`: that bring them. */
  constructor(ledger: Ledger, workers: number) {
    this.#ledger = ledger;
    this.#turns = new Turns(arenasPerWorker * workers);
  }

  /** What they take, those on their way included. */
  get bytes(): number {
    return [...this.#arenas].reduce((total, { bytes }) => total + bytes, 0);
  }

  /** Brings the model's inputs into memory. They stay there until what is returned is disposed of. */
  async bring(model: MergedModel, context: TrialContext): Promise<BroughtModel> {
    const joined = new Set<Arena>();
    const onProgress = (): void => context.progress(0, 0, 0);
    const leave = (): void => {
      for (const arena of joined) arena.leave(onProgress);
      joined.clear();
    };
    try {
      const keys = model.pieces.map(({ inputs, shape }) => inputs.map((one) => inputKey(one, shape, model.sources)));
      const wanted = wantedInputs(model, keys);
      const missing = [...wanted.values()].filter(({ key }) => this.#arenaOf.get(key)?.isWanted !== true);
      const use = (arena: Arena): void => {
        if (joined.has(arena)) return;
        arena.join(onProgress);
        joined.add(arena);
      };
      // What is there is used before room is made for what is not.
      for (const key of wanted.keys()) {
        const arena = this.#arenaOf.get(key);
        if (arena?.isWanted === true) use(arena);
      }
      let fetchedBytes = 0;
      for (const batch of inArenas(missing)) {
        for (const arena of this.#open(batch, model, context)) {
          use(arena);
          fetchedBytes += arena.bytes;
        }
      }
      const there = await Promise.all([...joined].map(async (arena) => [arena, await ready(arena, context)] as const));
      const usable = new Set(there.flatMap(([arena, isThere]) => (isThere ? [arena] : [])));
      return { ...this.#rewrite(model, keys, usable), fetchedBytes, [Symbol.dispose]: leave };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** In as many files as there is room for: half of the inputs when there is none for all, and so on. */
  #open(inputs: readonly WantedInput[], model: MergedModel, context: TrialContext): readonly Arena[] {
    if (inputs.length === 0) return [];
    let arena: Arena | undefined;
    const forget = (): void => {
      for (const { key } of inputs) if (this.#arenaOf.get(key) === arena) this.#arenaOf.delete(key);
      if (arena !== undefined) this.#arenas.delete(arena);
    };
    const holding = this.#ledger.tryTake(pagesOf(packInputs(inputs).bytes), () => {
      forget();
      arena?.remove();
    });
    if (holding === undefined) {
      if (inputs.length === 1) return [];
      const half = Math.ceil(inputs.length / 2);
      return [inputs.slice(0, half), inputs.slice(half)].flatMap((some) => this.#open(some, model, context));
    }
    const parts = { holding, model, turns: this.#turns, onGone: forget };
    arena = new Arena(context.scratch.newPath("inputs"), inputs, parts, context);
    this.#arenas.add(arena);
    for (const { key } of inputs) this.#arenaOf.set(key, arena);
    return [arena];
  }

  #rewrite(model: MergedModel, keys: Keys, usable: ReadonlySet<Arena>): Pick<BroughtModel, "sources" | "pieces"> {
    const sources = [...model.sources];
    const files = new Map<Arena, number>();
    for (const arena of usable) {
      if (arena.source !== undefined) files.set(arena, sources.push(arena.source) - 1);
    }
    const pieces = model.pieces.map((piece, i) => ({
      ...piece,
      inputs: piece.inputs.map((input, j): TensorSource => {
        const key = keys[i]?.[j] ?? "";
        const arena = this.#arenaOf.get(key);
        const file = arena && files.get(arena);
        if (file === undefined) return input;
        const dtype = isDerived(input) ? "F32" : input.dtype;
        const { rows: _, ...plain } = input;
        return { ...plain, file, offset: BigInt(arena?.places.get(key) ?? 0), dtype, updates: [] };
      }),
    }));
    return { sources, pieces };
  }
}

/** Another trial's cancellation does not end this one: what it was bringing is read from where it is. */
async function ready(arena: Arena, { signal, signs }: TrialContext): Promise<boolean> {
  // Workers may be busy with other units for longer than a coordinator waits for a sign.
  void arena.begun.then(signs.queued());
  try {
    return await unlessAborted(signal, arena.ready);
  } catch (error) {
    if (signal.aborted || AmalgamError.from(error).code !== "canceled") throw error;
    return false;
  }
}

/** Every input once, whole, by its key. */
function wantedInputs({ pieces }: MergedModel, keys: Keys): ReadonlyMap<string, WantedInput> {
  const wanted = new Map<string, WantedInput>();
  for (const [i, { tensor, shape, inputs }] of pieces.entries()) {
    const elements = shape.reduce((product, dimension) => product * Number(dimension), 1);
    for (const [j, input] of inputs.entries()) {
      const key = keys[i]?.[j] ?? "";
      const dtype = isDerived(input) ? "F32" : input.dtype;
      if (wanted.has(key) || elements === 0 || !isDtype(dtype) || !isWhole(input, shape)) continue;
      wanted.set(key, { key, tensor, input, shape, dtype, bytes: (elements * dtypeBits(dtype)) / 8 });
    }
  }
  return wanted;
}

/** A row map may describe no more than the rows of its piece. */
function isWhole({ rows }: TensorSource, [height = 0n]: readonly bigint[]): boolean {
  if (rows === undefined) return true;
  return rows.firstRow === 0n && rows.segments.reduce((total, { count }) => total + count, 0n) === height;
}

/** Those of one file beside each other. */
function inArenas(inputs: readonly WantedInput[]): readonly (readonly WantedInput[])[] {
  const byFile = new Map<number, WantedInput[]>();
  for (const wanted of inputs) {
    const list = byFile.get(wanted.input.file);
    if (list === undefined) byFile.set(wanted.input.file, [wanted]);
    else list.push(wanted);
  }
  return [...byFile.values()].flatMap((list) => {
    const arenas: WantedInput[][] = [];
    let bytes = arenaBytes;
    for (const input of list) {
      if (bytes + input.bytes > arenaBytes) {
        arenas.push([]);
        bytes = 0;
      }
      arenas.at(-1)?.push(input);
      bytes += input.bytes;
    }
    return arenas;
  });
}
