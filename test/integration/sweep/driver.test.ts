import { appendFile, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { SweepEvent, SweepJob } from "../../../coordinator/sweep/job.js";
import type { SweepResult } from "../../../coordinator/sweep/result.js";
import { evaluate, type SearchKind } from "../../../coordinator/sweep/search/searching.js";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { runSweep } from "../../../coordinator/sweep/sweep.js";
import type { TrialRecord } from "../../../coordinator/sweep/types.js";
import { AmalgamError } from "../../../shared/errors.js";
import { withTempDir } from "../../support/checkpoints.js";
import {
  MadeRunner,
  type MadeRunnerOptions,
  type MadeSpecOptions,
  madeAccuracy,
  makeSweep,
} from "../../support/sweeps.js";

/** A folder in which a made-up sweep is run, again and again where a test wants it. */
async function withSweep(options: MadeSpecOptions = {}) {
  const folder = await withTempDir();
  const output = join(folder.path, "out");
  const run = async (made: MadeRunnerOptions = {}, more: Partial<SweepJob> & MadeSpecOptions = {}) => {
    const { trials, kind, change, ...job } = more;
    const spec = await makeSweep(folder.path, {
      ...options,
      ...("trials" in more ? { trials } : {}),
      ...(kind && { kind }),
      ...(change && { change }),
    });
    const runner = new MadeRunner(made);
    const events: SweepEvent[] = [];
    const agents = { kind: "running", addresses: [] } as const;
    const result = runSweep({
      spec,
      folder: output,
      agents,
      openRunner: async () => runner,
      onEvent: (event) => events.push(event),
      ...job,
    });
    return { runner, events, result };
  };
  return {
    output,
    run,
    finish: async (...args: Parameters<typeof run>): Promise<SweepResult> => (await run(...args)).result,
    trials: () => readTrials(output),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** What of a record does not depend on when it was made. */
function timeless(records: readonly TrialRecord[]) {
  return records.map(({ startedAt: _, seconds: __, facts, ...rest }) => ({ ...rest, ran: facts !== undefined }));
}

async function failureOf(promise: Promise<unknown>): Promise<AmalgamError> {
  return promise.then(
    () => expect.fail("It did not fail"),
    (reason: unknown) => AmalgamError.from(reason),
  );
}

const crashes = (point: Readonly<Record<string, unknown>>): AmalgamError | undefined =>
  Number(point["x"]) > 0.8 ? new AmalgamError("out_of_memory", "it does not fit") : undefined;

describe("runSweep()", () => {
  test("gives the same records whatever is done first", async () => {
    const courses = [];
    const many = { slots: 5, together: 4, longestMs: 6 };
    for (const made of [{ slots: 1 }, { ...many, seed: 1 }, { ...many, seed: 2 }]) {
      await using sweep = await withSweep({ trials: 40 });
      const { runner, result } = await sweep.run({ ...made, fails: crashes, rungs: [8, 40] });
      const { best, gains } = await result;
      expect(runner.mostAtOnce).toBe(Math.min(made.slots, 4));
      courses.push({ records: timeless(await sweep.trials()), best, gains });
    }
    expect(courses[1]).toEqual(courses[0]);
    expect(courses[2]).toEqual(courses[0]);
    expect(courses[0]?.records).toHaveLength(40);
  });

  test("takes the best trial where the search recommends what violates constraints more", async () => {
    const points = [0.1, 0.3, 0.5, 0.7].map((x) => ({ x, y: 0.5 }));
    const accuracies = points.map((p) => (madeAccuracy(p, "a", 0, 40) + madeAccuracy(p, "b", 0, 40)) / 2);
    const least = accuracies.indexOf(Math.min(...accuracies));
    const kind: SearchKind = {
      ...{ name: "careless", summary: "", options: {} },
      *search() {
        yield* evaluate(points.map((point) => ({ point })));
        return { best: points[least] ?? {} };
      },
    };
    const at = { line: 1, column: 1 };
    const atLeast = Math.max(...accuracies);
    await using sweep = await withSweep({
      kind,
      change: { constraints: [{ name: "mean acc", of: "mean", metric: undefined, at, atLeast }] },
    });
    const { best, warnings } = await sweep.finish();
    expect(best.point).toEqual(points[accuracies.indexOf(atLeast)]);
    expect(best.searched.violation).toBe(0);
    expect(warnings).toContainEqual(expect.stringMatching(/recommends violates constraints more than trial \d/));
  });

  test("judges the best merge and the start by what the search has not seen", async () => {
    await using sweep = await withSweep({ trials: 30 });
    const result = await sweep.finish({ heldOut: 200 });
    const trials = await sweep.trials();
    const top = trials.toSorted((a, b) => a.loss - b.loss || a.trial - b.trial)[0];
    expect(result.best).toMatchObject({ trial: top?.trial, point: top?.point });
    const heldOut = (point: Readonly<Record<string, number>>): number =>
      (madeAccuracy(point, "a", "held out", 200) + madeAccuracy(point, "b", "held out", 200)) / 2;
    const best = heldOut(result.best.point as Record<string, number>);
    const start = heldOut({ x: 0.5, y: 0.5 });
    expect(result.best.heldOut?.objectives).toEqual({ "mean acc": best });
    expect(result.start?.heldOut?.objectives).toEqual({ "mean acc": start });
    const [gain] = result.gains;
    expect(gain).toMatchObject({ objective: "mean acc", examples: 400 });
    expect(gain?.gain.value).toBeCloseTo(best - start, 12);
    expect(gain?.gain.low).toBeLessThan(best - start);
    expect(gain?.gain.high).toBeGreaterThan(best - start);
    expect(result.references.map(({ model, isBase }) => [model, isBase])).toEqual([
      ["base", true],
      ["experts/a", false],
    ]);
    expect(await readFile(join(sweep.output, "best.yaml"), "utf8")).toMatch(
      new RegExp(
        `^# Trial ${top?.trial} of rolling by Amalgam \\S+: mean acc 0\\.\\d{3} on held-out examples\\n\\{"x"`,
      ),
    );
    expect(JSON.parse(await readFile(join(sweep.output, "result.json"), "utf8"))).toMatchObject({
      judgedOn: "held out",
    });
  });

  test("says that nothing was held out, and that a gain may be chance", async () => {
    await using sweep = await withSweep({ trials: 2 });
    const result = await sweep.finish({ heldOut: 0, rungs: [4] });
    expect(result.judgedOn).toBe("searched");
    expect(result.warnings).toEqual([
      expect.stringContaining("nothing was held out"),
      expect.stringMatching(/^the gain in mean acc may be chance: .*95 % interval/),
    ]);
  });

  test("says where examples are too few to tell a gain from chance", async () => {
    await using sweep = await withSweep({ trials: 2 });
    const { warnings } = await sweep.finish({ heldOut: 1 });
    expect(warnings).toEqual([
      expect.stringMatching(/^the gain in mean acc may be chance: \S+, on too few examples of a task to say how sure/),
    ]);
  });

  test("runs nothing twice when it is called again, and ends at once", async () => {
    await using sweep = await withSweep();
    const first = await sweep.finish();
    const { runner, result } = await sweep.run();
    expect({ ...(await result), seconds: 0 }).toEqual({ ...first, seconds: 0 });
    expect(runner.ran).toEqual([]);
    expect(await sweep.trials()).toHaveLength(20);
  });

  test("leaves a finished sweep alone where it is only to be finished, until there is more to do", async () => {
    await using sweep = await withSweep();
    const first = await sweep.finish();
    const openRunner = async (): Promise<MadeRunner> => expect.fail("It started something");
    expect(await sweep.finish({}, { onlyUnfinished: true, openRunner })).toEqual(JSON.parse(JSON.stringify(first)));
    const more = await sweep.finish({}, { onlyUnfinished: true, trials: 22 });
    expect(more.trials.total).toBe(22);
    expect((await sweep.finish({}, { onlyUnfinished: true, trials: 22, openRunner })).trials.total).toBe(22);
  });

  test("answers a point that comes again from the record", async () => {
    const again: SearchKind = {
      name: "again",
      summary: "",
      options: {},
      *search() {
        const requests = [0.1, 0.2, 0.1].map((x) => ({ point: { x, y: 0 } }));
        const first = yield* evaluate(requests);
        const second = yield* evaluate(requests);
        return { facts: { losses: [...first, ...second].map(({ loss }) => loss) } };
      },
    };
    await using sweep = await withSweep({ kind: again });
    const { runner, result } = await sweep.run({ longestMs: 3, heldOut: 0 });
    const { facts } = await result;
    const losses = (facts?.["losses"] ?? []) as readonly number[];
    const [a, b] = losses;
    expect(losses).toEqual([a, b, a, a, b, a]);
    expect((await sweep.trials()).map(({ fresh }) => fresh)).toEqual([80, 80, 0, 0, 0, 0]);
    expect(new Set(runner.ran).size).toBe(runner.ran.length);
  });

  test("runs only what a higher rung adds", async () => {
    const promoting: SearchKind = {
      name: "promoting",
      summary: "",
      options: {},
      *search() {
        for (const rung of [0, 1, 2]) {
          const [outcome] = yield* evaluate([{ point: { x: 0.6, y: 0.3 }, rung }]);
          expect(outcome?.examples.get("a")).toHaveLength([5, 10, 40][rung] ?? 0);
        }
        return undefined;
      },
    };
    await using sweep = await withSweep({ kind: promoting });
    await sweep.finish({ rungs: [5, 10, 40] });
    expect((await sweep.trials()).map(({ examples, fresh }) => [examples, fresh])).toEqual([
      [10, 10],
      [20, 10],
      [80, 60],
    ]);
  });
});

describe("a budget", () => {
  test.each([
    { budget: { trials: 7 }, trials: 7, ended: "its 7 trials are used up" },
    { budget: { examples: 401 }, trials: 6, ended: "its 401 examples are used up" },
    { budget: { minutes: 0 }, trials: 0, ended: undefined },
  ])("of $budget ends a sweep after $trials trials", async ({ budget, trials, ended }) => {
    await using sweep = await withSweep({ change: { budget } });
    if (ended === undefined) await failureOf(sweep.finish());
    else expect((await sweep.finish()).ended).toBe(ended);
    expect(await sweep.trials()).toHaveLength(trials);
  });

  test("that is extended is the same as one that was larger", async () => {
    await using whole = await withSweep({ trials: 30 });
    await using extended = await withSweep({ trials: 18 });
    await whole.finish();
    await extended.finish();
    const { runner, result } = await extended.run({}, { extend: { trials: 12 } });
    await result;
    expect(timeless(await extended.trials())).toEqual(timeless(await whole.trials()));
    expect(runner.ran.filter((key, i) => runner.ran.indexOf(key) !== i)).toEqual([]);
    // It holds from now on, without a word.
    await extended.finish();
    expect(await extended.trials()).toHaveLength(30);
  });

  test("that its author has changed counts anew", async () => {
    await using sweep = await withSweep({ trials: 5 });
    await sweep.finish();
    await sweep.finish({}, { trials: 9 });
    expect(await sweep.trials()).toHaveLength(9);
  });

  test("of which another part is used up is not extended", async () => {
    await using sweep = await withSweep({ change: { budget: { examples: 400 } } });
    await sweep.finish();
    const { code, message } = await failureOf(sweep.finish({}, { extend: { trials: 5 } }));
    expect([code, message]).toEqual([
      "usage",
      expect.stringMatching(/^Cannot extend the sweep in ".*": its 400 examples are used up, so extend that too$/),
    ]);
  });

  test("is no matter to a search that finds nothing new", async () => {
    const stuck: SearchKind = {
      name: "stuck",
      summary: "",
      options: {},
      *search() {
        for (;;) yield* evaluate(Array.from({ length: 100 }, () => ({ point: { x: 0.5, y: 0.5 } })));
      },
    };
    await using sweep = await withSweep({ kind: stuck, change: { budget: { examples: 10_000 } } });
    expect((await sweep.finish()).ended).toBe("its last 200 trials were nothing new");
  });
});

describe("trials that fail", () => {
  test("stop nothing and are no bad scores", async () => {
    await using sweep = await withSweep({ trials: 40 });
    const refuses = ({ y }: Readonly<Record<string, unknown>>) =>
      Number(y) > 0.9 ? new AmalgamError("recipe_invalid", "y is too large") : undefined;
    const result = await sweep.finish({ fails: crashes, refuses });
    const failed = (await sweep.trials()).filter(({ status }) => status === "failed");
    expect(result.trials).toEqual({ total: 40, failed: failed.length });
    expect(new Set(failed.map(({ failure }) => failure?.message))).toEqual(
      new Set(["it does not fit", "y is too large"]),
    );
    expect(failed.every(({ loss, losses }) => Number.isNaN(loss) && Number.isNaN(losses[0]))).toBe(true);
  });

  test("are run again by retry, and the search keeps what it was told", async () => {
    await using sweep = await withSweep({ trials: 30 });
    await sweep.finish({ fails: crashes });
    const before = await sweep.trials();
    const { runner, result } = await sweep.run({}, { retryFailed: true });
    expect((await result).trials.failed).toBe(0);
    const after = await sweep.trials();
    expect(after.map(({ trial, point }) => [trial, point])).toEqual(before.map(({ trial, point }) => [trial, point]));
    expect(after.filter(({ retried }) => retried).map(({ trial }) => trial)).toEqual(
      before.filter(({ status }) => status === "failed").map(({ trial }) => trial),
    );
    expect(runner.ran.length).toBeGreaterThan(0);
    await sweep.finish({}, { extend: { trials: 10 } });
    expect(timeless(await sweep.trials()).slice(0, 30)).toEqual(timeless(after));
  });

  test("all of them stop the sweep with the reason, and are not kept", async () => {
    await using sweep = await withSweep({ trials: 200 });
    const { code, message } = await failureOf(
      sweep.finish({ fails: () => new AmalgamError("out_of_memory", "no room") }),
    );
    expect([code, message]).toEqual(["usage", expect.stringMatching(/^All 2\d trials failed.*:\n {2}2\d × no room$/)]);
    expect(await sweep.trials()).toEqual([]);
    await sweep.finish({}, { trials: 5 });
    expect(await sweep.trials()).toHaveLength(5);
  });

  test("with a score that is no number name task and metric", async () => {
    await using sweep = await withSweep({
      trials: 3,
      change: { objectives: [{ name: "b f1", of: { task: "b" }, weight: 1, kind: "metric", metric: "f1" }] },
    });
    const { message } = await failureOf(sweep.finish());
    expect(message).toContain('3 × score is not a number: task "b", metric "f1"');
  });

  test("because no agent is left are not trials: the sweep goes on another time", async () => {
    await using sweep = await withSweep({ trials: 10 });
    const lost = new AmalgamError("agent_lost", "agent is gone");
    const { code } = await failureOf(
      sweep.finish({ fails: ({ x }) => (Number(x) > 0.8 ? lost : undefined), agents: [] }),
    );
    expect(code).toBe("agent_lost");
    expect((await sweep.trials()).every(({ status }) => status === "done")).toBe(true);
    await sweep.finish();
    expect(await sweep.trials()).toHaveLength(10);
  });
});

describe("the record of a sweep", () => {
  test("is believed as far as it is whole", async () => {
    await using sweep = await withSweep();
    await sweep.finish();
    const before = timeless(await sweep.trials());
    for (const name of ["trials.jsonl", "examples.jsonl"]) {
      const path = join(sweep.output, name);
      const { length } = await readFile(path);
      await truncate(path, length - 30);
    }
    await appendFile(join(sweep.output, "trials.jsonl"), '\n{"trial":3,"check":"00000000"}\nnot json');
    const { runner, result } = await sweep.run();
    await result;
    expect(timeless(await sweep.trials())).toEqual(before.map((record) => ({ ...record, ran: expect.anything() })));
    expect(runner.ran).toHaveLength(1);
  });

  test.each([
    { what: "another seed", change: { seed: 8 }, differs: '"seed"' },
    { what: "other objectives", change: { objectives: [] }, differs: '"objectives"' },
    {
      what: "another search",
      change: {
        parallel: 3,
        constraints: [{ name: "c", of: "mean", metric: undefined, at: { line: 1, column: 1 }, atLeast: 1 }],
      },
      differs: '"constraints", "parallel"',
    },
  ] as const)("is not that of $what", async ({ change, differs }) => {
    await using sweep = await withSweep({ trials: 3 });
    await sweep.finish();
    const { code, message } = await failureOf(sweep.finish({}, { change }));
    expect(code).toBe("output_refused");
    expect(message).toContain(`differs from what it was begun with in ${differs}; undo that, choose another folder`);
    await sweep.finish(
      {},
      {
        change: { ...change, objectives: [{ name: "a", of: "worst", weight: 1, kind: "metric", metric: undefined }] },
        overwrite: true,
      },
    );
    expect(await sweep.trials()).toHaveLength(3);
  });

  test("is discarded whole, and what is of no sweep is not replaced unasked", async () => {
    await using sweep = await withSweep({ trials: 3 });
    const write = (folder: string): Promise<void> => writeFile(join(folder, "trials.parquet"), "a table");
    const finishers = [{ file: "trials.parquet", write }];
    await sweep.finish({}, { finishers });
    await writeFile(join(sweep.output, "layers.json"), "{}");
    await writeFile(join(sweep.output, "report.html"), "a page");
    await sweep.finish({}, { overwrite: true, finishers: [] });
    expect((await readdir(sweep.output)).toSorted()).toEqual([
      "best.yaml",
      "examples.jsonl",
      "result.json",
      "sweep.json",
      "sweep.yaml",
      "trials.jsonl",
    ]);
    await rm(join(sweep.output, "sweep.json"));
    const { code, message } = await failureOf(sweep.finish());
    expect([code, message]).toEqual([
      "output_refused",
      expect.stringMatching(/^Cannot sweep into ".*": it has "trials.jsonl" and no "sweep.json", so .* "--overwrite"$/),
    ]);
    for (const name of await readdir(sweep.output)) await rm(join(sweep.output, name));
    await writeFile(join(sweep.output, "sweep.yaml"), "another sweep of the author's");
    expect((await failureOf(sweep.finish())).message).toContain('it has "sweep.yaml" and no "sweep.json"');
    expect(await readFile(join(sweep.output, "sweep.yaml"), "utf8")).toBe("another sweep of the author's");
  });

  test("does not go on with other models", async () => {
    await using sweep = await withSweep({ trials: 3 });
    await sweep.finish();
    const { code, message } = await failureOf(sweep.finish({ salt: "other" }, { extend: { trials: 3 } }));
    expect([code, message]).toEqual(["output_refused", expect.stringContaining("its models are not what they were")]);
  });

  test("is one process's at a time", async () => {
    await using sweep = await withSweep({ trials: 3 });
    const first = await sweep.run({ longestMs: 300 });
    const { code, message } = await failureOf(sweep.finish());
    expect([code, message]).toEqual([
      "output_refused",
      expect.stringMatching(/^Cannot sweep into ".*": process \d+ on/),
    ]);
    await first.result;
  });

  test("is kept when the sweep is interrupted", async () => {
    await using sweep = await withSweep({ trials: 40 });
    const interrupt = new AbortController();
    const onEvent = (event: SweepEvent): void => {
      if (event.type === "trial" && event.record.trial === 9)
        interrupt.abort(new AmalgamError("canceled", "Interrupted"));
    };
    const { code } = await failureOf(sweep.finish({ longestMs: 2 }, { signal: interrupt.signal, onEvent }));
    expect(code).toBe("canceled");
    const kept = await sweep.trials();
    expect(kept.length).toBeLessThan(40);
    expect(kept.every(({ status }) => status === "done")).toBe(true);
    await sweep.finish();
    await using whole = await withSweep({ trials: 40 });
    await whole.finish();
    expect(timeless(await sweep.trials())).toEqual(timeless(await whole.trials()));
  });

  test("of a search that has changed is not gone on with", async () => {
    await using sweep = await withSweep({ trials: 3 });
    await sweep.finish();
    const other: SearchKind = {
      name: "rolling",
      summary: "",
      options: {},
      *search() {
        yield* evaluate([{ point: { x: 0, y: 0 } }]);
        return undefined;
      },
    };
    const { message } = await failureOf(sweep.finish({}, { kind: other }));
    expect(message).toContain("trial 1 on record is not the one that the search begins with");
  });
});
