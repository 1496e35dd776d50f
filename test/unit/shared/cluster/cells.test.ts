import { expect, test } from "vitest";
import { type Cell, cellStates, packCells, unpackCells } from "../../../../shared/cluster/cells.js";

const cell = (fields: Partial<Cell>): Cell => ({
  ...{ state: "waiting", hasFailed: false, attempts: 0 },
  ...{ agent: undefined, milliseconds: undefined, bytes: undefined },
  ...fields,
});

test("what is packed comes back, numbers to 5 %", () => {
  const cells = [
    ...cellStates.map((state, i) => cell({ state, hasFailed: i % 2 === 1, attempts: i })),
    ...[1, 35, 4_321, 3_600_000].map((milliseconds) => cell({ state: "done", milliseconds, agent: 254, attempts: 15 })),
    ...[1_024, 268e6, 1.5e12].map((bytes) => cell({ state: "done", bytes, agent: 0 })),
  ];
  const back = unpackCells(packCells(cells));
  expect(back.map(({ milliseconds: _, bytes: __, ...rest }) => rest)).toEqual(
    cells.map(({ milliseconds: _, bytes: __, agent, ...rest }) => ({ ...rest, agent: agent === 254 ? 254 : agent })),
  );
  for (const [i, { milliseconds, bytes }] of cells.entries()) {
    for (const [one, other] of [
      [milliseconds, back[i]?.milliseconds],
      [bytes, back[i]?.bytes],
    ] as const) {
      if (one === undefined) expect(other).toBeUndefined();
      else expect(Math.abs((other ?? 0) / one - 1)).toBeLessThan(0.05);
    }
  }
});

test("what does not fit is the most there is, and agents that there is no room for are nobody", () => {
  const [one] = unpackCells(packCells([cell({ attempts: 99, agent: 300, milliseconds: 1e15 })]));
  expect([one?.attempts, one?.agent]).toEqual([15, undefined]);
  expect(one?.milliseconds).toBeGreaterThan(10 * 3_600_000);
});

test("bytes that nobody packed are cells all the same", () => {
  expect(unpackCells(new Uint8Array(0))).toEqual([]);
  expect(unpackCells(new Uint8Array(3))).toEqual([]);
  const odd = unpackCells(Uint8Array.from({ length: 255 }, (_, i) => i));
  expect(odd).toHaveLength(63);
  for (const { state } of odd) expect(cellStates).toContain(state);
});
