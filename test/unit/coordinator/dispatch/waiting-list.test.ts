import { expect, test } from "vitest";
import { WaitingList } from "../../../../coordinator/dispatch/waiting-list.js";

function all(list: WaitingList): number[] {
  const items: number[] = [];
  for (let item = list.first; item !== undefined; item = list.after(item)) items.push(item);
  return items;
}

test.each([
  ["the first", [3], [1, 0, 2]],
  ["one in the middle", [0], [3, 1, 2]],
  ["the last", [2], [3, 1, 0]],
  ["neighbours", [0, 1], [3, 2]],
  ["all", [1, 3, 2, 0], []],
])("the order stays when %s is taken out", (_, out, left) => {
  const list = new WaitingList([3, 1, 0, 2]);
  for (const item of out) list.delete(item);
  expect(all(list)).toEqual(left);
  expect(list.size).toBe(left.length);
});

test("an empty list has no first", () => {
  expect(new WaitingList([]).first).toBeUndefined();
});

test("what is added later comes last, also when all before it are gone", () => {
  const list = new WaitingList([1, 0]);
  list.append(2);
  expect(all(list)).toEqual([1, 0, 2]);
  for (const item of [2, 1, 0]) list.delete(item);
  list.append(3);
  list.append(4);
  list.delete(3);
  expect(all(list)).toEqual([4]);
  expect(list.size).toBe(1);
});
