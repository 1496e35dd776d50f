import { expect, test } from "vitest";
import { nanosecondsOf } from "../../../../../shared/bus/nats/api.js";
import { parsePosition } from "../../../../../shared/bus/nats/position.js";

const position = {
  deliveries: 2,
  streamSequence: 30,
  consumerSequence: 4,
  time: 1_700_000_000_123_456_789n,
  pending: 5,
};

test.each([
  ["the old form", "$JS.ACK.jobs.coordinators.2.30.4.1700000000123456789.5"],
  ["a domain and an account", "$JS.ACK.hub.ACCOUNT.jobs.coordinators.2.30.4.1700000000123456789.5"],
  ["a random word at the end", "$JS.ACK._.ACCOUNT.jobs.coordinators.2.30.4.1700000000123456789.5.xyz"],
])("parsePosition() reads %s", (_, reply) => {
  expect(parsePosition(reply)).toEqual(position);
});

test.each([[undefined], [""], ["_INBOX.abc"], ["$JS.ACK.jobs"], ["$JS.ACK.jobs.c.x.30.4.17.5"]])(
  "parsePosition() takes %j for no delivery",
  (reply) => {
    expect(parsePosition(reply)).toBeUndefined();
  },
);

test.each([
  ["1970-01-01T00:00:00Z", 0n],
  ["1970-01-01T00:00:01.5Z", 1_500_000_000n],
  ["2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789n],
  ["2023-11-14T23:13:20.123456789+01:00", 1_700_000_000_123_456_789n],
  ["yesterday", -1n],
])("nanosecondsOf() reads %s to the nanosecond", (time, nanoseconds) => {
  expect(nanosecondsOf(time)).toBe(nanoseconds);
});
