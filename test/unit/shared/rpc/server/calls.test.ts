import { expect, test } from "vitest";
import { Call, Calls } from "../../../../../shared/rpc/server/calls.js";
import { Connection } from "../../../../../shared/rpc/server/connections.js";
import { serverLimits } from "../../../../../shared/rpc/server/limits.js";

function createCalls(limits: Partial<Record<keyof typeof serverLimits, number>> = {}) {
  const calls = new Calls({ ...serverLimits, ...limits });
  const ended: [string, string][] = [];
  const connection = (name: string): Connection => new Connection(name, name, 0, () => undefined);
  const call = (from: Connection, name: string, now = 0): Call => {
    const one = new Call(from, now, (reason) => void ended.push([name, reason]));
    calls.add(one);
    return one;
  };
  return { calls, ended, connection, call };
}

test("a connection has calls while they last, and is idle from the end of the last one on", () => {
  const { calls, connection, call } = createCalls();
  const from = connection("a");
  const [one, two] = [call(from, "one"), call(from, "two")];
  expect([from.calls, from.isProven]).toEqual([2, true]);
  calls.remove(one, 5);
  calls.remove(two, 8);
  calls.remove(two, 9);
  expect([from.calls, from.idleSince, calls.size]).toEqual([0, 8, 0]);
});

test("a request may be as long as a message and no longer", () => {
  const { calls, ended, connection, call } = createCalls({ requestBytes: 100 });
  const one = call(connection("a"), "one");
  calls.grow(one, 100);
  expect(ended).toEqual([]);
  calls.grow(one, 1);
  calls.grow(one, 1);
  expect(ended).toEqual([["one", "its request has more than 100 B"]]);
});

test("when requests take too much together, the latest of the connection that holds the most goes", () => {
  const { calls, ended, connection, call } = createCalls({ heldBytes: 1_000 });
  const [greedy, modest] = [connection("greedy"), connection("modest")];
  for (const name of ["first", "second", "third"]) calls.grow(call(greedy, name), 300);
  calls.grow(call(modest, "modest"), 200);
  expect(ended).toEqual([["third", "requests take 1.00 KB, and those of its connection the most"]]);
});

test("what a call held is free when it is over", () => {
  const { calls, ended, connection, call } = createCalls({ heldBytes: 1_000 });
  const from = connection("a");
  for (let i = 0; i < 10; i++) {
    const one = call(from, String(i));
    calls.grow(one, 900);
    calls.remove(one, i);
    calls.grow(one, 900);
  }
  expect([ended, calls.heldBytes]).toEqual([[], 0]);
});

test("sweep() ends a request that comes slower than it may, and no other", () => {
  const { calls, ended, connection, call } = createCalls({ requestMs: 1_000, requestBytesPerSecond: 100 });
  const [slow, steady, whole] = ["slow", "steady", "whole"].map((name) => call(connection(name), name));
  if (!slow || !steady || !whole) throw new Error("Three calls");
  whole.isComplete = true;
  calls.grow(slow, 10);
  calls.grow(steady, 200);
  calls.sweep(1_100);
  expect(ended).toEqual([]);
  calls.sweep(1_101);
  calls.sweep(2_000);
  expect(ended).toEqual([["slow", "10 B of its request came in 1 seconds"]]);
  calls.sweep(3_001);
  expect(ended.map(([name]) => name)).toEqual(["slow", "steady"]);
});

test("sweep() ends a call whose response nobody takes, and none whose responses leave", () => {
  const { calls, ended, connection } = createCalls();
  const begin = (name: string): Call => {
    const end = (reason: string): void => void ended.push([name, reason]);
    const call = new Call(connection(name), 0, end, { untaken: () => 1_024, takeMs: 1_000 });
    call.isComplete = true;
    calls.add(call);
    return call;
  };
  begin("deaf");
  const slow = begin("slow");
  for (const now of [0, 900, 1_001, 1_500]) {
    calls.sweep(now);
    // One has left, and the next one waits.
    slow.waitingSince = undefined;
  }
  expect(ended).toEqual([["deaf", "it has not taken a response for 1 seconds"]]);
});

test("a call beyond the most there may be is ended", () => {
  const { ended, connection, call } = createCalls({ calls: 2 });
  for (const name of ["one", "two", "three"]) call(connection(name), name);
  expect(ended).toEqual([["three", "there are 2 calls already"]]);
});
