/** Kingma & Ba 2015, algorithm 1, with the constants recommended there. */
export class Adam {
  readonly #rate: number;
  readonly #mean: Float64Array;
  readonly #square: Float64Array;
  #steps = 0;

  constructor(dimensions: number, rate: number) {
    this.#rate = rate;
    this.#mean = new Float64Array(dimensions);
    this.#square = new Float64Array(dimensions);
  }

  /** What to add to the coefficients. */
  step(gradient: Float64Array): Float64Array {
    const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
    this.#steps += 1;
    return gradient.map((slope, i) => {
      const mean = beta1 * (this.#mean[i] ?? 0) + (1 - beta1) * slope;
      const square = beta2 * (this.#square[i] ?? 0) + (1 - beta2) * slope ** 2;
      this.#mean[i] = mean;
      this.#square[i] = square;
      const [direction, size] = [mean / (1 - beta1 ** this.#steps), square / (1 - beta2 ** this.#steps)];
      return (-this.#rate * direction) / (Math.sqrt(size) + epsilon);
    });
  }
}
