import type { HttpAnswer, Route } from "./route.js";

/** Something without which a process is alive and of no use. */
export interface ReadyCheck {
  readonly name: string;
  /** Why it is not so; undefined: it is. */
  readonly problem: () => string | undefined | Promise<string | undefined>;
}

/** A loop that was held up for longer within the last {@link rememberedMs} is no life. */
const maxLagMs = 5_000;
const rememberedMs = 10_000;
const lookMs = 500;
/** A check that takes longer has not passed. */
const checkMs = 2_000;

/** How far behind its time the event loop of this process was. */
export class LoopLag implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #lags: readonly { readonly at: number; readonly ms: number }[] = [];
  #due = performance.now() + lookMs;

  constructor() {
    this.#timer = setInterval(() => {
      const now = performance.now();
      const ms = Math.max(0, now - this.#due);
      this.#due = now + lookMs;
      this.#lags = [...this.#lags.filter(({ at }) => now - at < rememberedMs), { at: now, ms }];
    }, lookMs);
    this.#timer.unref();
  }

  /** The longest of late, in milliseconds. */
  get worstMs(): number {
    const now = performance.now();
    const recent = this.#lags.filter(({ at }) => now - at < rememberedMs).map(({ ms }) => ms);
    return Math.round(Math.max(0, now - this.#due, ...recent));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/**
 * `GET /healthz`: 200 while the process is alive. `GET /readyz`: 200 while it can do its work, otherwise 503 with the
 * reasons. Both answer JSON and say nothing that is secret, since whatever starts processes has to be able to ask.
 */
export function healthRoutes(lag: Pick<LoopLag, "worstMs">, checks: readonly ReadyCheck[]): readonly Route[] {
  const healthz = (): HttpAnswer => {
    const { worstMs } = lag;
    const isAlive = worstMs < maxLagMs;
    const reason = `the event loop was held up for ${worstMs} ms, and ${maxLagMs} are the limit`;
    return json(isAlive, { status: isAlive ? "ok" : "failing", loopLagMs: worstMs, ...(!isAlive && { reason }) });
  };
  const readyz = async (): Promise<HttpAnswer> => {
    const results = await Promise.all(checks.map(async (check) => ({ check, problem: await within(check) })));
    const reasons = results.flatMap(({ check: { name }, problem }) =>
      problem === undefined ? [] : [{ check: name, problem }],
    );
    const isReady = reasons.length === 0;
    return json(isReady, { status: isReady ? "ready" : "not ready", reasons });
  };
  return [
    { method: "GET", path: "/healthz", answer: healthz },
    { method: "GET", path: "/readyz", answer: readyz },
  ];
}

async function within({ problem }: ReadyCheck): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${checkMs} ms`), checkMs);
  });
  try {
    return await Promise.race([late, problem()]);
  } catch {
    return "it could not be looked at";
  } finally {
    clearTimeout(timer);
  }
}

function json(isWell: boolean, body: object): HttpAnswer {
  return { status: isWell ? 200 : 503, type: "application/json", body: `${JSON.stringify(body)}\n` };
}
