import { expect, test } from "vitest";
import { Board } from "../../../../coordinator/page/board.js";
import type { EventView } from "../../../../coordinator/page/types.js";
import { eventView } from "../../../../coordinator/page/views.js";
import { eventOf } from "../../../support/cluster-records.js";

const event = (number: number): EventView => eventView(eventOf(), number);

test("readers are told what is new to them, and nothing when nothing is", () => {
  const board = new Board();
  board.set("events", "1", event(1));
  const seen = board.version;
  expect(JSON.parse(board.since(seen) ?? "")).toEqual({});
  board.set("events", "1", event(1));
  expect(board.version).toBe(seen);
  board.set("events", "2", event(2));
  board.delete("events", "1");
  expect(JSON.parse(board.since(seen) ?? "")).toEqual({ events: { "1": null, "2": event(2) } });
  expect(Object.keys(JSON.parse(board.whole()).events)).toEqual(["2"]);
});

test("a reader that missed too much begins anew, and the board does not grow", () => {
  const board = new Board();
  for (let number = 1; number <= 10_000; number += 1) {
    board.set("events", String(number), event(number));
    board.delete("events", String(number - 500));
  }
  expect(board.since(0)).toBeUndefined();
  expect(board.keys("events")).toHaveLength(500);
  expect(board.whole().length).toBeLessThan(120_000);
});

test("names that objects have are names like others", () => {
  const board = new Board();
  board.set("events", "__proto__", event(1));
  board.set("events", "constructor", event(2));
  expect([...board.keys("events")]).toEqual(["__proto__", "constructor"]);
  expect(board.whole()).toContain('"__proto__":{');
});
