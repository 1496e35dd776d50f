import { expect, test } from "vitest";
import { Board } from "../../../../coordinator/page/board.js";
import { snapshotOf, streamOf } from "../../../../coordinator/page/stream.js";
import { eventView } from "../../../../coordinator/page/views.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";
import { eventOf } from "../../../support/cluster-records.js";

const date = (): Date => new Date(0);
const put = (board: Board, number: number): void => board.set("events", String(number), eventView(eventOf(), number));

function parse(part: string | undefined): { event: string | undefined; data: Record<string, unknown> } {
  const event = /^event: (.+)$/m.exec(part ?? "")?.[1];
  return { event, data: JSON.parse(/^data: (.+)$/m.exec(part ?? "")?.[1] ?? "null") };
}

test("a reader has everything, then what is new, then a beat", async () => {
  const board = new Board();
  put(board, 1);
  const stop = new AbortController();
  const clock = new VirtualClock();
  const stream = streamOf(board, { isAuthenticated: true, signal: stop.signal, clock, date });
  const first = parse((await stream.next()).value as string);
  expect(first).toMatchObject({ event: "snapshot", data: { isAuthenticated: true, events: { "1": { number: 1 } } } });
  const second = stream.next();
  put(board, 2);
  put(board, 3);
  expect(parse((await second).value as string)).toMatchObject({
    event: "changes",
    data: { events: { "2": {}, "3": {} } },
  });
  const third = stream.next();
  await clock.advance(20_000);
  expect(parse((await third).value as string).event).toBe("beat");
  stop.abort();
  expect((await stream.next()).done).toBe(true);
});

test("an empty board is a snapshot, too", () => {
  expect(JSON.parse(snapshotOf(new Board(), "now", false))).toEqual({ at: "now", isAuthenticated: false });
});
