import type { FunctionBody, Local } from "./encoder.js";
import type { ControlLayout } from "./layout.js";

/** Parameters of the exported `run`: the control block, how many elements, the random counter's first three words. */
export const parameters = { control: 0, count: 1, counter0: 2, counter1: 3, counter2: 4 } as const;

export const parameterCount = Object.keys(parameters).length;

export const vectorLanes = 4;

/** What the parts of a kernel's loop have in common. */
export interface Loop {
  readonly body: FunctionBody;
  readonly layout: ControlLayout;
  /** The element that the current iteration starts with. */
  readonly index: Local;
}

/** Four elements of an iteration. */
export interface Vector {
  /** Which four of the iteration's. */
  readonly number: number;
  /** All ones in the lanes that exist. Undefined where all do: everywhere but in the tail. */
  readonly exists: Local | undefined;
}

/** Takes in one expression's lanes, vector by vector, and leaves its result in the control block or in memory. */
export interface Reducer {
  /** Emitted before the loop. */
  prepare(): void;
  /** Emitted for every vector. */
  add(lanes: Local, vector: Vector): void;
  /** Emitted after the loop. */
  finish(): void;
}

/** Pushes a 32-bit word of the control block, in all four lanes. */
export function pushSplat({ body }: Loop, offset: number): void {
  body.get(parameters.control).load("v128.load32_splat", offset);
}

/** The vector's lanes, with those that do not exist set to zero. */
export function zeroBeyond({ body }: Loop, lanes: Local, { exists }: Vector): Local {
  if (exists === undefined) return lanes;
  const masked = body.local("v128");
  body.get(lanes).get(exists).simd("v128.and").set(masked);
  return masked;
}
