import { expect, test } from "vitest";
import { type Holding, Ledger } from "../../../../node-agent/trials/ledger.js";

const never = new AbortController().signal;

function wanted(bytes: number, more: { beside?: readonly Holding[]; drop?: () => void } = {}) {
  return { bytes, act: "merge trial 1", beside: () => more.beside ?? [], drop: more.drop ?? (() => undefined) };
}

test("memory is given at once while there is some, and counted", async () => {
  const ledger = new Ledger(100);
  const first = await ledger.take(wanted(60), never);
  expect(ledger.tryTake(50, () => undefined)).toBeUndefined();
  expect(ledger.tryTake(40, () => undefined)?.bytes).toBe(40);
  expect([ledger.held, ledger.peak]).toEqual([100, 100]);
  first.discard();
  first.discard();
  expect([ledger.held, ledger.peak]).toEqual([40, 100]);
});

test("what nobody uses goes when others want its memory, the least recently used first", async () => {
  const ledger = new Ledger(90);
  const gone: string[] = [];
  const holdings = await Promise.all(
    ["a", "b", "c"].map((name) => ledger.take(wanted(30, { drop: () => gone.push(name) }), never)),
  );
  for (const holding of holdings) holding.release();
  // Used once more, and so the last to go.
  holdings[0]?.use();
  holdings[0]?.release();
  await ledger.take(wanted(30), never);
  expect(gone).toEqual(["b"]);
  holdings[2]?.use();
  await ledger.take(wanted(30), never);
  expect(gone).toEqual(["b", "a"]);
  expect(ledger.tryTake(1, () => undefined)).toBeUndefined();
  expect(ledger.held).toBe(90);
});

test("who waits gets memory in the order of asking, even if less is wanted later", async () => {
  const ledger = new Ledger(100);
  const first = await ledger.take(wanted(80), never);
  const order: number[] = [];
  const large = ledger.take(wanted(90), never).then((holding) => {
    order.push(90);
    return holding;
  });
  const small = ledger.take(wanted(10), never).then(() => order.push(10));
  await Promise.resolve();
  expect(order).toEqual([]);
  first.release();
  await Promise.all([large, small]);
  expect(order).toEqual([90, 10]);
  expect(ledger.held).toBe(100);
});

test("who leaves the line lets the next one in", async () => {
  const ledger = new Ledger(100);
  await ledger.take(wanted(50), never);
  const leaving = new AbortController();
  const large = ledger.take(wanted(100), leaving.signal);
  const small = ledger.take(wanted(50), never);
  leaving.abort(new Error("gone"));
  await expect(large).rejects.toMatchObject({ message: "Error: gone" });
  expect((await small).bytes).toBe(50);
});

test("what is wanted beside stays, and counts when it is judged whether all could fit", async () => {
  const ledger = new Ledger(100);
  const gone: string[] = [];
  const blob = await ledger.take(wanted(30, { drop: () => gone.push("blob") }), never);
  const other = await ledger.take(wanted(30, { drop: () => gone.push("other") }), never);
  for (const holding of [blob, other]) holding.release();
  await ledger.take(wanted(70, { beside: [blob] }), never);
  expect(gone).toEqual(["other"]);
  await expect(ledger.take(wanted(71, { beside: [blob] }), never)).rejects.toMatchObject({
    code: "out_of_memory",
    message: expect.stringContaining("71 B for its weights and 30 B for its batches, the agent may use 100 B"),
    details: { needed: "101", allowed: "100" },
  });
});
