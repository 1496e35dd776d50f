import type { AmalgamError } from "../../errors.js";
import { explainHandshake } from "./explain.js";
import type { LiveCredentials } from "./live-credentials.js";
import { refusedHandshake, type ServerCheck } from "./server-check.js";

/** An answer is good for so long: many calls fail at once. */
const keptMs = 1_000;
/** Nobody is there to explain anything. */
const nobody = /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ENOTFOUND|EAI_AGAIN/;

/** Puts failures to connect over TLS into words. */
export class Explanations {
  readonly #address: string;
  readonly #live: LiveCredentials;
  readonly #check: ServerCheck;
  #last: Promise<string | undefined> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(address: string, live: LiveCredentials, check: ServerCheck) {
    this.#address = address;
    this.#live = live;
    this.#check = check;
  }

  readonly explain = async (error: AmalgamError): Promise<AmalgamError> => {
    if (!error.message.includes("No connection established") || nobody.test(error.message)) return error;
    const { refusal } = this.#check;
    if (refusal !== undefined && error.message.includes(refusal.message)) return refusal;
    const why = await this.#ask().catch(() => undefined);
    return why === undefined ? error : refusedHandshake(`Cannot connect to ${this.#address}: ${why}`, this.#address);
  };

  #ask(): Promise<string | undefined> {
    if (this.#last === undefined || performance.now() - this.#askedAt > keptMs) {
      this.#askedAt = performance.now();
      this.#last = explainHandshake(this.#live, this.#address);
    }
    return this.#last;
  }
}
