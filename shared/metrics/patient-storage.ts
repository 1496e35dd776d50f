/** Each question that storage does not answer holds one of libuv's four threads, which all else in the process needs, too. */
const maxUnanswered = 2;
/** How long an answer is waited for. It may come later, and then counts for whoever asks next. */
const patienceMs = 500;

interface Question {
  /** Set once it is answered. */
  outcome: Promise<unknown> | undefined;
}

/**
 * Asks storage for those who look at a process from outside, again and again. A network file system whose server is away
 * answers nothing, for hours: the same question is not asked again before it was answered, and no other one while two are
 * open.
 */
export class PatientStorage {
  readonly #open = new Map<string, Question>();
  /** Those who wait for any answer. */
  readonly #waiting = new Set<() => void>();

  /** Undefined: there was no answer in time. Fails with what `act` fails with. `question` says all that `act` depends on. */
  async ask<Answer>(question: string, act: () => Promise<Answer>): Promise<Answer | undefined> {
    const untilMs = performance.now() + patienceMs;
    let asked: Question | undefined;
    do {
      asked ??= this.#open.get(question) ?? this.#begin(question, act);
      if (asked?.outcome !== undefined) return (await asked.outcome) as Answer;
    } while (await this.#nextAnswer(untilMs - performance.now()));
    return undefined;
  }

  /** Undefined: there is no room. */
  #begin(question: string, act: () => Promise<unknown>): Question | undefined {
    if (this.#open.size >= maxUnanswered) return undefined;
    const asked: Question = { outcome: undefined };
    this.#open.set(question, asked);
    const outcome = act();
    const answered = (): void => {
      asked.outcome = outcome;
      this.#open.delete(question);
      for (const wake of [...this.#waiting]) wake();
    };
    outcome.then(answered, answered);
    return asked;
  }

  /** False: none came. */
  #nextAnswer(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const leave = (isAnswered: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve(isAnswered);
      };
      const wake = (): void => leave(true);
      const timer = setTimeout(() => leave(false), ms);
      this.#waiting.add(wake);
    });
  }
}

/** What this process asks: its threads are there once. */
export const patientStorage = new PatientStorage();
