import { expect, test } from "vitest";
import { type Admission, Fences } from "../../../node-agent/fences.js";
import type { AmalgamError } from "../../../shared/errors.js";

const order = (fence: number, job = "job") => ({ job, fence: BigInt(fence) });

test("admit() refuses a leader that another one has followed", () => {
  const fences = new Fences({ agent: "box" });
  fences.admit(order(7));
  expect(() => fences.admit(order(6))).toThrow(
    expect.objectContaining({
      code: "fenced",
      message:
        'Agent "box" refused work of job "job": leader 7 gives orders by now, this was leader 6, which must stop',
      details: { agent: "box", job: "job", fence: "6", leader: "7" },
    }),
  );
  expect(fences.admit(order(7)).signal.aborted).toBe(false);
});

test("a higher fence stops what runs under lower ones, in that job alone", () => {
  const fences = new Fences();
  const old = [fences.admit(order(1)), fences.admit(order(1))];
  const elsewhere = fences.admit(order(1, "another"));
  const next = fences.admit(order(2));
  expect(old.map(({ signal }) => signal.reason)).toEqual(
    Array.from({ length: 2 }, () => expect.objectContaining({ code: "fenced", retryable: false })),
  );
  expect([elsewhere, next].map(({ signal }) => signal.aborted)).toEqual([false, false]);
});

test("work that is over is not stopped", () => {
  const fences = new Fences();
  const over = fences.admit(order(1));
  over[Symbol.dispose]();
  fences.admit(order(2));
  expect(over.signal.aborted).toBe(false);
});

test("disposing of work that was stopped leaves its successor running", () => {
  const fences = new Fences();
  const old = fences.admit(order(1));
  const next = fences.admit(order(2));
  old[Symbol.dispose]();
  fences.admit(order(3));
  expect(next.signal.aborted).toBe(true);
});

test.each([
  ["without a leader", undefined],
  ["of no job", { job: "", fence: 1n }],
  ["with fence 0", { job: "job", fence: 0n }],
])("an order %s is not compared and stops nothing", (_case, free) => {
  const fences = new Fences();
  const led = fences.admit(order(9));
  const alone = fences.admit(free);
  expect(led.signal.aborted).toBe(false);
  fences.admit(order(10));
  expect(alone.signal.aborted).toBe(false);
});

test("fences above 2^53 are told apart", () => {
  const fences = new Fences();
  const largest = 2n ** 64n - 1n;
  fences.admit({ job: "job", fence: largest });
  expect(() => fences.admit({ job: "job", fence: largest - 1n })).toThrow("leader 18446744073709551615");
});

test("the job least recently heard is forgotten first, unless work of it runs", () => {
  const fences = new Fences({ jobs: 3 });
  const hear = (fence: number, job: string): void => fences.admit(order(fence, job))[Symbol.dispose]();
  const running = fences.admit(order(5, "runs"));
  hear(5, "a");
  hear(5, "b");
  hear(5, "a");
  hear(5, "c");
  expect(fences.size).toBe(3);
  expect(() => hear(4, "runs")).toThrow("refused");
  expect(() => hear(4, "a")).toThrow("refused");
  expect(() => hear(4, "b")).not.toThrow();
  expect(running.signal.aborted).toBe(false);
});

test("no job with running work is forgotten, even beyond the limit", () => {
  const fences = new Fences({ jobs: 2 });
  const running: Admission[] = [];
  for (let job = 0; job < 5; job += 1) running.push(fences.admit(order(2, `job-${job}`)));
  for (let job = 0; job < 5; job += 1) expect(() => fences.admit(order(1, `job-${job}`))).toThrow("refused");
  for (const admission of running) admission[Symbol.dispose]();
  for (let job = 5; job < 20; job += 1) fences.admit(order(2, `job-${job}`))[Symbol.dispose]();
  expect(fences.size).toBe(2);
});

test("a job's name has a limit", () => {
  expect(() => new Fences().admit(order(1, "x".repeat(201)))).toThrow("its name is too long");
});

test("onFenced() hears of every order that is refused or stopped", () => {
  const heard: AmalgamError[] = [];
  const fences = new Fences({ onFenced: (error) => heard.push(error) });
  fences.admit(order(1));
  fences.admit(order(2));
  expect(() => fences.admit(order(1))).toThrow();
  fences.admit(order(3));
  expect(heard.map(({ message }) => message)).toEqual([
    expect.stringMatching(/stopped work .* leader 2 gives orders by now, this was leader 1/),
    expect.stringMatching(/refused work .* leader 2 gives orders by now, this was leader 1/),
    expect.stringMatching(/stopped work .* leader 3 gives orders by now, this was leader 2/),
  ]);
});
