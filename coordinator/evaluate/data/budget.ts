import { formatBytes } from "../../../shared/bytes.js";
import { formatCount } from "../../../shared/quote.js";
import { dataError } from "./complain.js";
import { type RowLimits, rowLimits } from "./limits.js";

/** How much of some data is still to be read, counted over all files of a source. */
export class RowBudget {
  readonly limits: RowLimits;
  readonly #wanted: number;
  #rows = 0;
  #bytes = 0;

  /** `wanted`: so many rows. Without it, more than `limits.rows` are an error. */
  constructor(wanted: number | undefined, limits: RowLimits = rowLimits) {
    this.limits = limits;
    this.#wanted = wanted ?? Number.POSITIVE_INFINITY;
  }

  get remaining(): number {
    return this.#wanted - this.#rows;
  }

  /** Takes rows of so many bytes into account, as far as they are wanted. */
  spend(place: string, rows: number, bytes: number): void {
    this.#rows += rows;
    this.#bytes += bytes;
    const { limits } = this;
    if (this.#rows > limits.rows) {
      throw dataError(place, `There are more than ${formatCount(limits.rows)} rows, give the task a limit`);
    }
    if (this.#bytes > limits.bytes) {
      throw dataError(place, `The rows take more than ${formatBytes(limits.bytes)}, give the task a smaller limit`);
    }
  }
}
