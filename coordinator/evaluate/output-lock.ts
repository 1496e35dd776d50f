import { rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { Lock } from "../assemble/lock.js";
import { readStaging } from "../assemble/staging-paths.js";

const lockName = "unfinished.lock";

/**
 * The right to evaluate or sweep into a folder: two at once would remove each other's answers and mix their results. A
 * process that was killed holds it no longer.
 */
export class OutputLock implements AsyncDisposable {
  readonly #lock: Lock;
  #isReleased = false;

  private constructor(lock: Lock) {
    this.#lock = lock;
  }

  /** Fails with `output_refused`, and says who has it. `act`: what the folder is wanted for. */
  static async take(folder: string, act = "evaluate into"): Promise<OutputLock> {
    try {
      return new OutputLock(await Lock.take(join(folder, lockName)));
    } catch (cause) {
      throw refused(act, folder, AmalgamError.from(cause));
    }
  }

  /** Gives it up and leaves nothing behind. Again: does nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const { paths, generation } = this.#lock;
    const entries = (await readStaging(paths.root))?.ours ?? [];
    const ofTheDead = entries.filter((entry) => entry.generation < generation);
    await Promise.all(ofTheDead.map(({ path }) => rm(path, { force: true })));
    await this.#lock[Symbol.asyncDispose]();
    // It stays where somebody else has taken it at this moment.
    await rmdir(paths.root).catch(() => undefined);
  }
}

function refused(act: string, folder: string, cause: AmalgamError): AmalgamError {
  const { pid, host } = cause.details;
  if (cause.code !== "output_refused" || pid === undefined) return cause;
  const who = `process ${pid} on ${quote(host ?? "")}`;
  const message = `Cannot ${act} ${quote(folder)}: ${who} is at it already, wait for it or choose another folder`;
  return new AmalgamError("output_refused", message, { cause, details: cause.details });
}
