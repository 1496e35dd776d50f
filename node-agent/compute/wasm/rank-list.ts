import type { Local } from "./encoder.js";
import { vectorLanes } from "./loop.js";
import { keyMargin, type RankedRow, vectorBytes, walk, wordBytes } from "./rank-row.js";

/** How far keys may be from their places, in each loop that there is for it. */
export const reaches = [3, 5, 7, keyMargin - 1] as const;

/** Moves per element after which sorting by insertion is given up. */
const maxMoves = 8;

/** Writes the ranks of keys that are at most `reach` from their places. */
export function emitRanks({ body, at, bytes }: RankedRow, reach: number): void {
  const [keys, order, end] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const [places, key, rank, highest] = [body.local("v128"), body.local("v128"), body.local("v128"), body.local("v128")];
  body.v128([0, 1, 2, 3]).set(places);
  body.get(at.count).i32(1).op("i32.sub").simd("i32x4.splat").simd("f32x4.convert_i32x4_s").set(highest);
  body.get(at.order).set(order).get(at.keys).tee(keys).get(bytes).op("i32.add").set(end);
  walk(body, [keys, order], end, () => {
    body.get(keys).load("v128.load", 0).set(key);
    body.get(places).set(rank);
    for (let distance = 1; distance <= reach; distance += 1) {
      const offset = wordBytes * distance;
      body.get(rank).get(key).get(keys).load("v128.load", offset).simd("i32x4.gt_s").simd("i32x4.sub");
      body.get(keys).i32(-offset).op("i32.add").load("v128.load", 0).get(key).simd("i32x4.gt_s");
      body.simd("i32x4.add").set(rank);
    }
    // The same as divided in f64 and rounded: both numbers have fewer than 24 bits.
    body.get(rank).simd("f32x4.convert_i32x4_s").get(highest).simd("f32x4.div").set(rank);
    for (let lane = 0; lane < vectorLanes; lane += 1) {
      body
        .get(order)
        .load("i32.load", wordBytes * lane)
        .get(rank)
        .extractLane(lane)
        .store("i32.store", 0);
    }
    body.get(places).splat(vectorLanes).simd("i32x4.add").set(places);
  });
}

/** Sorts what is nearly sorted, four keys at a time where they already are. Branches out if it takes too many moves. */
export function emitInsertion(row: RankedRow, giveUp: number): void {
  const { body, at, bytes } = row;
  const [keys, end, moves, toOrder] = [body.local("i32"), body.local("i32"), body.local("i32"), body.local("i32")];
  body.get(at.order).get(at.keys).op("i32.sub").set(toOrder);
  body.get(bytes).i32(maxMoves).op("i32.mul").set(moves);
  body.get(at.keys).tee(keys).get(bytes).op("i32.add").set(end);
  walk(body, [keys], end, () => {
    body.get(keys).load("v128.load", 0).get(keys).load("v128.load", wordBytes);
    body.simd("i32x4.gt_s").simd("v128.any_true");
    body.if(() => {
      const from = body.local("i32");
      body.get(keys).set(from);
      body.loop(() => {
        emitInsert(row, { from, toOrder, moves });
        body.get(from).get(keys).i32(vectorBytes).op("i32.add").op("i32.lt_u").branchIf(0);
      });
      body
        .get(moves)
        .i32(0)
        .op("i32.lt_s")
        .branchIf(giveUp + 2);
    });
  });
}

interface Insertion {
  /** The last key of the sorted ones; goes on by one. */
  readonly from: Local;
  /** Bytes from a key to what is listed with it. */
  readonly toOrder: Local;
  /** Bytes by which keys may still move. */
  readonly moves: Local;
}

/** Moves the next key to before all larger ones. A zero stands before the first. */
function emitInsert({ body }: RankedRow, { from, toOrder, moves }: Insertion): void {
  const [key, listed, before] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const pushIsLarger = () => body.get(before).load("i32.load", 0).get(key).op("i32.gt_u");
  body.get(from).tee(before).load("i32.load", wordBytes).set(key);
  pushIsLarger();
  body.if(() => {
    body.get(from).get(toOrder).op("i32.add").load("i32.load", wordBytes).set(listed);
    body.loop(() => {
      body.get(before).get(before).load("i32.load", 0).store("i32.store", wordBytes);
      body.get(before).get(toOrder).op("i32.add");
      body.get(before).get(toOrder).op("i32.add").load("i32.load", 0).store("i32.store", wordBytes);
      body.get(before).i32(wordBytes).op("i32.sub").set(before);
      pushIsLarger().branchIf(0);
    });
    body.get(before).get(key).store("i32.store", wordBytes);
    body.get(before).get(toOrder).op("i32.add").get(listed).store("i32.store", wordBytes);
    body.get(moves).get(from).get(before).op("i32.sub").op("i32.sub").set(moves);
  });
  body.get(from).i32(wordBytes).op("i32.add").set(from);
}
