/** Beats that did not come through, one after another, after which nobody answers for the storage: 30 seconds. */
export const maxMissedBeats = 30;

/**
 * Shows again and again that the holder of a lock lives, by writing to the storage, and notices when that does not answer.
 * Counts beats and no time: a process that was frozen has missed one.
 */
export class Pulse {
  readonly #show: () => Promise<void>;
  readonly #onSilent: (() => void) | undefined;
  #missed = 0;
  #isShowing = false;

  /** `onSilent`: called once for every silence, when so many beats in a row failed or did not come back. */
  constructor(show: () => Promise<void>, onSilent?: () => void) {
    this.#show = show;
    this.#onSilent = onSilent;
  }

  /** To be called once a second. */
  beat(): void {
    this.#missed += 1;
    if (this.#missed === maxMissedBeats) this.#onSilent?.();
    if (this.#isShowing) return;
    this.#isShowing = true;
    const done = (): void => {
      this.#isShowing = false;
    };
    this.#show().then(() => {
      this.#missed = 0;
      done();
    }, done);
  }
}
