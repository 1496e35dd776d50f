import { quote } from "../../quote.js";
import type { Refusal } from "./server-credentials.js";

/** A window begins with a refusal. Equal ones within it are counted, and told together when it is over. */
const windowMs = 10_000;
/** Different refusals that are told within that time: a flood of them must not become a flood of lines. */
const maxAtOnce = 20;
/** Longest part of a method's name in a note: whoever calls makes it up. */
const maxMethodLength = 160;

export interface RefusalNote {
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The audit log of a server: who was not let in, from where, and why. */
export class RefusalLog {
  readonly #tell: (note: RefusalNote) => void;
  /** Those of this window: told once, and how often they came again. */
  readonly #again = new Map<string, { readonly refusal: Refusal; times: number }>();
  #untold = 0;

  constructor(tell: (note: RefusalNote) => void) {
    this.#tell = tell;
  }

  add(refusal: Refusal): void {
    const { address, name, method, reason } = refusal;
    // The port is another one each time.
    const host = address.replace(/:\d+$/, "");
    const key = JSON.stringify([host, name, method, reason]);
    const again = this.#again.get(key);
    if (again !== undefined) again.times += 1;
    else if (this.#again.size >= maxAtOnce) this.#untold += 1;
    else {
      if (this.#again.size === 0) setTimeout(() => this.#endWindow(), windowMs).unref();
      this.#again.set(key, { refusal: { ...refusal, address: host }, times: 0 });
      this.#tell(noteOf(refusal, ""));
    }
  }

  #endWindow(): void {
    const [again, untold] = [[...this.#again.values()], this.#untold];
    this.#again.clear();
    this.#untold = 0;
    for (const { refusal, times } of again) {
      if (times > 0) this.#tell(noteOf(refusal, ` (${times} more in ${windowMs / 1000} s)`));
    }
    if (untold > 0) this.#tell({ message: `Refused ${untold} more connections and calls, of many kinds`, fields: {} });
  }
}

function noteOf({ address, name, method, reason }: Refusal, times: string): RefusalNote {
  const who = name === undefined ? address : `${quote(name)} at ${address}`;
  const what = method === undefined ? "a connection of" : `a call of ${quote(method)} by`;
  const fields = {
    peer: address,
    ...(name === undefined ? {} : { certificate: name }),
    ...(method === undefined ? {} : { method: method.slice(0, maxMethodLength) }),
  };
  return { message: `Refused ${what} ${who}: ${reason}${times}`, fields };
}
