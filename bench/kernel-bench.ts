import { Kernel } from "../node-agent/compute/wasm/kernel.js";
import { spareBins } from "../node-agent/compute/wasm/layout.js";
import { TileMemory } from "../node-agent/compute/wasm/memory.js";
import { binsOf } from "../shared/expression/order-statistics.js";
import { schedule } from "../shared/expression/passes.js";
import type { NodeId, Program } from "../shared/expression/program.js";
import { randomKey } from "../shared/expression/random.js";
import { rememberedMasks } from "../shared/expression/remembered.js";
import { Scalars } from "../shared/expression/scalars.js";
import { blockElements, type Partial } from "../shared/expression/statistics.js";
import { methods } from "../shared/methods/index.js";
import { buildProgram } from "../shared/methods/method.js";
import type { ParameterValue } from "../shared/methods/parameter.js";

export interface KernelCase {
  readonly method: string;
  readonly models: number;
  /** The base's place among the models. */
  readonly base?: number;
  readonly perModel: Readonly<Record<string, ParameterValue>>;
  readonly merge: Readonly<Record<string, ParameterValue>>;
}

export interface Phase {
  readonly name: string;
  /** Read and written. */
  readonly bytesTouched: number;
  /** One pass over all elements. Passes run in order, since each needs what those before it found. */
  run(): void;
}

const bytesPerElement = 2;
const tensor = "bench.weight";

/** A method's kernels over tensors that lie whole in one memory, and nothing else: no files, no tiles, no checksums. */
export class KernelBench {
  readonly phases: readonly Phase[];
  readonly #program: Program;
  readonly #elements: number;
  readonly #memory = new TileMemory(1 << 30);
  readonly #inputs: readonly number[];
  readonly #output: number;
  readonly #scalars: Scalars;
  /** Where the bits of the masks are that are drawn once for all passes. */
  readonly #masks: ReadonlyMap<NodeId, number>;

  constructor(given: KernelCase, elements: number) {
    const { program, slots } = programOf(given);
    this.#program = program;
    this.#elements = elements;
    const place = (): number => this.#memory.allocate(bytesPerElement * elements, "a tensor");
    this.#inputs = Array.from({ length: program.inputs }, place);
    this.#output = place();
    const parameters = slots.map(({ parameter, model }) =>
      Number((model === undefined ? given.merge : given.perModel)[parameter]),
    );
    const counts = { row: elements, column: elements, tensor: elements, model: elements };
    this.#scalars = new Scalars(program, schedule(program), { parameters, counts });
    const maskOf = (node: NodeId) => [node, this.#memory.allocate(elements / 8, "a mask")] as const;
    this.#masks = new Map(rememberedMasks(program).map(maskOf));
    const draws = this.#masks.size > 0 ? [this.#draw()] : [];
    const gathers = schedule(program).statistics.map((_, pass) => this.#gather(pass));
    this.phases = [...draws, ...gathers, this.#map()];
  }

  /** Fills an input with a pattern, over and over. */
  fill(input: number, pattern: Uint8Array): void {
    const bytes = this.#memory.bytes(this.#inputs[input] ?? 0, bytesPerElement * this.#elements);
    for (let at = 0; at < bytes.length; at += pattern.length) bytes.set(pattern.subarray(0, bytes.length - at), at);
  }

  #draw(): Phase {
    const kernel = this.#kernel({ kind: "draw", nodes: [...this.#masks.keys()] });
    return {
      name: "masks",
      bytesTouched: (this.#masks.size * this.#elements) / 8,
      run: () => this.#overBlocks(kernel, () => undefined),
    };
  }

  #map(): Phase {
    const kernel = this.#kernel({ kind: "map", output: "BF16", masks: [...this.#masks.keys()] });
    const bytesTouched = bytesPerElement * this.#elements * (this.#inputs.length + 1);
    return {
      name: "map",
      bytesTouched,
      run: () => this.#overBlocks(kernel, (count) => void kernel.observation(count)),
    };
  }

  #gather(pass: number): Phase {
    const gathers = schedule(this.#program).statistics[pass]?.gathers ?? [];
    const kernel = this.#kernel({ kind: "gather", gathers, columnSums: [], masks: [...this.#masks.keys()] });
    const bins = gathers.map(({ kind }) => binsOf(kind));
    const addresses = bins.map((count) => this.#memory.allocate(4 * (count + spareBins), "bins"));
    const counts = (gather: number): Uint32Array =>
      new Uint32Array(this.#memory.memory.buffer, addresses[gather] ?? 0, bins[gather] ?? 0);
    const run = (): void => {
      const sums: number[][] = gathers.map(() => []);
      for (const gather of gathers.keys()) counts(gather).fill(0);
      kernel.setHistograms(addresses);
      kernel.setBins(gathers.map(({ kind, node }) => (kind === "lowerBits" ? this.#scalars.upperBitsOf(node)[0] : 0)));
      this.#overBlocks(kernel, () => {
        for (const [place, { kind }] of gathers.entries()) if (kind === "sum") sums[place]?.push(kernel.sum(place));
      });
      const partials = gathers.map(({ kind }, place): Partial => {
        if (kind === "sum") return { kind, blocks: Float64Array.from(sums[place] ?? []) };
        if (kind === "largest") throw new TypeError("No benchmark gathers maxima");
        return { kind, counts: Float64Array.from(counts(place)) };
      });
      this.#scalars.finishPass(pass, partials);
    };
    const kinds = [...new Set(gathers.map(({ kind }) => (kind === "sum" ? "sums" : kind)))];
    return { name: kinds.join(" and "), bytesTouched: bytesPerElement * this.#elements * this.#inputs.length, run };
  }

  #overBlocks(kernel: Kernel, seen: (count: number) => void): void {
    kernel.setScalars(this.#scalars.values);
    for (let at = 0; at < this.#elements; at += blockElements) {
      const count = Math.min(blockElements, this.#elements - at);
      const addresses = this.#inputs.map((address) => address + bytesPerElement * at);
      kernel.setPointers(addresses, this.#output + bytesPerElement * at);
      kernel.setMasks((node) => (this.#masks.get(node) ?? 0) + at / 8);
      kernel.run(count, at);
      seen(count);
    }
  }

  #kernel(task: ConstructorParameters<typeof Kernel>[2]): Kernel {
    const dtypes = this.#inputs.map(() => "BF16" as const);
    const kernel = new Kernel(this.#program, dtypes, task, this.#memory);
    kernel.attach();
    kernel.setKeys((stream) => randomKey(0, tensor, stream));
    return kernel;
  }
}

function programOf({ method: name, models, base, perModel, merge }: KernelCase) {
  const method = methods.get(name);
  if (method === undefined) throw new RangeError(`No method "${name}"`);
  const names = Array.from({ length: models }, (_, model) => `model ${model}`);
  return buildProgram(method, names, base, { perModel: names.map(() => perModel), merge });
}
