import { expect, test } from "vitest";
import { type ArenaState, createArena, type FetchMessage, WindowWriter } from "../../../../node-agent/files/arena.js";
import { type Extent, Extents } from "../../../../node-agent/files/extents.js";
import { RemoteFiles } from "../../../../node-agent/files/remote-files.js";
import { AmalgamError } from "../../../../shared/errors.js";

const kib = 1 << 10;
const fileBytes = 20 << 20;

/** Of a source, from `begin` on. A loop: some hundred megabytes of them are made here. */
function bytesAt(source: number, begin: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = source * 31 + (begin + i) * 7 + ((begin + i) >> 8);
  return bytes;
}

interface Given {
  readonly isOnServer?: boolean;
  readonly streams?: number;
  readonly budgetBytes?: number;
  readonly extents?: readonly Extent[];
  readonly lookUp?: () => void;
  /** Instead of filling the window at once. */
  readonly onFetch?: (message: FetchMessage, window: WindowWriter, arena: ArenaState) => void;
}

/** A reader whose main thread answers before it is waited for. */
function open(given: Given = {}) {
  const { streams = 2, budgetBytes = 256 << 20, extents = [], lookUp = () => undefined, onFetch } = given;
  const arena = createArena(budgetBytes);
  const fetched: FetchMessage[] = [];
  const fetch = (message: FetchMessage): void => {
    fetched.push(message);
    const window = new WindowWriter(arena, message);
    if (onFetch !== undefined) onFetch(message, window, arena);
    else fill(message, window);
  };
  const isOnServer = (): boolean => given.isOnServer === true;
  const files = new RemoteFiles({ arena, streams, extents: new Extents(extents), isOnServer, fetch, lookUp });
  const read = (source: number, position: number, length: number): void => {
    const into = new Uint8Array(length);
    files.read(source, fileBytes, into, position);
    const isRight = Buffer.compare(into, bytesAt(source, position, length)) === 0;
    expect(isRight, `bytes ${position} to ${position + length} of source ${source}`).toBe(true);
  };
  return { read, fetched, arena };
}

function fill({ source, offset, length }: FetchMessage, window: WindowWriter): void {
  const half = Math.ceil(length / 2);
  for (const [from, to] of [
    [0, half],
    [half, length],
  ] as const) {
    window.append(bytesAt(source, offset + from, to - from));
  }
}

const bytesOf = (fetched: readonly FetchMessage[]): number => fetched.reduce((sum, { length }) => sum + length, 0);

test.each([8, 16, 64, 256])(
  "two files that are read in turn are fetched once and not beyond what is needed, with %d MiB to work in",
  (mib) => {
    const end = 5 << 20;
    const extents = [0, 1].map((file) => ({ file, begin: 1000, end }));
    const { read, fetched } = open({ extents, budgetBytes: mib << 20 });
    for (let at = 1000; at < end; at += 128 * kib) {
      for (const source of [0, 1]) read(source, at, Math.min(128 * kib, end - at));
    }
    expect(bytesOf(fetched)).toBe(2 * (end - 1000));
  },
);

test("what is read in sequence is fetched ahead of its reader", () => {
  const { read, fetched } = open();
  for (let at = 0; at < 2 << 20; at += 128 * kib) read(0, at, 128 * kib);
  const ahead = Math.max(...fetched.map(({ offset, length }) => offset + length)) - (2 << 20);
  expect(ahead).toBeGreaterThanOrEqual(2 << 20);
  expect(ahead).toBeLessThanOrEqual(6 << 20);
});

test("from a server several windows are fetched ahead at a time, for a few large requests", () => {
  const { read, fetched } = open({ isOnServer: true, extents: [{ file: 0, begin: 0, end: fileBytes }] });
  const batches: number[] = [];
  for (let at = 0; at < fileBytes; at += 128 * kib) {
    const before = fetched.length;
    read(0, at, 128 * kib);
    if (fetched.length > before) batches.push(fetched.length - before);
  }
  expect(bytesOf(fetched)).toBe(fileBytes);
  expect(batches.length).toBeLessThanOrEqual(8);
  expect(Math.max(...batches)).toBeGreaterThanOrEqual(8);
});

test("scattered reads fetch no more than one small window each", () => {
  const { read, fetched } = open();
  for (let i = 0; i < 40; i += 1) read(0, ((i * 7919) % 19) * 1_000_003, 1000);
  expect(fetched).toHaveLength(19);
  expect(bytesOf(fetched)).toBeLessThanOrEqual(19 * 256 * kib);
});

test("a read that is larger than the whole arena gets every byte", () => {
  const { read } = open({ budgetBytes: 1 << 20, streams: 8 });
  read(0, 12_345, 3 << 20);
});

test.each([1, 2, 7, 16, 40])("%d tensors that share a small arena are read in turn, byte for byte", (streams) => {
  const { read, fetched, arena } = open({ streams, budgetBytes: 8 << 20 });
  expect(arena.windowsBytes).toBe(1 << 20);
  for (let at = 0; at < 768 * kib; at += 128 * kib) {
    for (let source = 0; source < streams; source += 1) read(source, at, 128 * kib);
  }
  // Up to here there are two windows for each; with more of them no window is larger than a tile. Beyond the end of
  // what is read, only what fits the arena was fetched ahead.
  expect(bytesOf(fetched)).toBeLessThanOrEqual(streams * 768 * kib + (1 << 20));
});

test("no two windows that are open share memory", () => {
  const { read, fetched, arena } = open({ streams: 5, budgetBytes: 64 << 20 });
  for (let source = 0; source < 5; source += 1) read(source, 0, 300 * kib);
  const ranges = fetched
    .flatMap(({ address, length, errorAddress }) => [
      [address, address + length] as const,
      [errorAddress, errorAddress + 4096] as const,
    ])
    .toSorted((a, b) => a[0] - b[0]);
  ranges.forEach(([begin, end], i) => {
    expect(end).toBeLessThanOrEqual(ranges[i + 1]?.[0] ?? arena.data.byteLength);
    expect(begin).toBeLessThan(end);
  });
});

test("a fetch that failed fails the read that needs it, with its code and message", () => {
  const { read } = open({
    onFetch: (_, window) => window.fail(new AmalgamError("io_failed", 'Cannot read "/m": none of 2 "serves" it')),
  });
  expect(() => read(0, 0, 10)).toThrow('Cannot read "/m": none of 2 "serves" it');
  expect(() => read(0, 0, 10)).toThrow(expect.objectContaining({ code: "io_failed" }));
});

test("an error too long for its place still is one", () => {
  const { read } = open({ onFetch: (_, window) => window.fail(new AmalgamError("stalled", "\u0001".repeat(5000))) });
  expect(() => read(0, 0, 10)).toThrow(expect.objectContaining({ code: "stalled" }));
});

test("bytes that have come can be read while the rest is on its way; more is waited for until somebody has enough", () => {
  let looks = 0;
  const { read } = open({
    onFetch: ({ source, offset }, window) => {
      window.append(bytesAt(source, offset, 1000));
    },
    lookUp: () => {
      looks += 1;
      if (looks === 3) throw new AmalgamError("canceled", "Canceled");
    },
  });
  read(0, 0, 1000);
  expect(looks).toBe(0);
  expect(() => read(0, 500, 1000)).toThrow("Canceled");
});
