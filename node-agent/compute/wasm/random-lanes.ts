import type { NodeId } from "../../../shared/expression/program.js";
import type { Local } from "./encoder.js";
import { type Loop, parameters, pushSplat, type Vector } from "./loop.js";
import { emitPhilox, pushDrawLimit, pushIsDrawnBelow, pushUniform } from "./philox-lanes.js";

/** Random numbers are drawn for this many elements at once. */
const groupElements = 16;
/** Of which this many counters are taken. */
const groupCounters = 4;

type Words = readonly [Local, Local, Local];

/** The random numbers of a kernel's elements, as lanes. */
export class RandomLanes {
  readonly #loop: Loop;
  readonly #scalars: ReadonlyMap<NodeId, Local>;
  readonly #keys: ReadonlyMap<number, readonly [Local, Local]>;
  /** Words of the counters of the elements that an iteration begins with. */
  readonly #counter: Words;
  /** What {@link draw} drew for each stream, a word for each vector. */
  #words: ReadonlyMap<number, readonly Local[]> = new Map();

  constructor(loop: Loop, scalars: ReadonlyMap<NodeId, Local>) {
    const vector = (): Local => loop.body.local("v128");
    this.#loop = loop;
    this.#scalars = scalars;
    this.#keys = new Map(loop.layout.streams.map((stream) => [stream, [vector(), vector()]]));
    this.#counter = [vector(), vector(), vector()];
  }

  /** Loads keys and counters. */
  prepare(): void {
    if (this.#keys.size === 0) return;
    const { body, layout } = this.#loop;
    [...this.#keys.values()].flat().forEach((word, i) => {
      pushSplat(this.#loop, layout.keys + 4 * i);
      body.set(word);
    });
    const [first, second, third] = this.#counter;
    body.get(parameters.counter0).simd("i32x4.splat").v128([0, 1, 2, 3]).simd("i32x4.add").set(first);
    body.get(parameters.counter1).simd("i32x4.splat").set(second);
    body.get(parameters.counter2).simd("i32x4.splat").set(third);
  }

  /** Draws for an iteration. */
  draw(elements: number): void {
    const groups = this.#keys.size === 0 ? 0 : elements / groupElements;
    const counters = Array.from({ length: groups }, (_, group) => this.#counterOf(group));
    this.#words = new Map(
      [...this.#keys].map(([stream, key]) => [
        stream,
        counters.flatMap((counter) => emitPhilox(this.#loop.body, counter, key)),
      ]),
    );
  }

  /** Pushes a vector's numbers. */
  push(stream: number, { number }: Vector): void {
    pushUniform(this.#loop.body, this.#wordsOf(stream, number));
  }

  /** Pushes whether a vector's numbers are below a scalar. */
  pushIsBelow(stream: number, scalar: NodeId, { number }: Vector): void {
    pushIsDrawnBelow(this.#loop.body, this.#wordsOf(stream, number), this.#drawLimitOf(scalar));
  }

  advance(elements: number): void {
    if (this.#keys.size === 0) return;
    const [first] = this.#counter;
    this.#loop.body
      .get(first)
      .splat((elements / groupElements) * groupCounters)
      .simd("i32x4.add")
      .set(first);
  }

  #wordsOf(stream: number, vector: number): Local {
    return this.#words.get(stream)?.[vector] ?? -1;
  }

  #counterOf(group: number): Words {
    const [first, second, third] = this.#counter;
    if (group === 0) return this.#counter;
    const own = this.#loop.body.local("v128");
    this.#loop.body
      .get(first)
      .splat(group * groupCounters)
      .simd("i32x4.add")
      .set(own);
    return [own, second, third];
  }

  /** The scalar is the same all through the run, so the optimizing compiler takes this out of the loop. */
  #drawLimitOf(scalar: NodeId): Local {
    const limit = this.#loop.body.local("v128");
    pushDrawLimit(this.#loop.body, this.#scalars.get(scalar) ?? -1);
    this.#loop.body.set(limit);
    return limit;
  }
}
