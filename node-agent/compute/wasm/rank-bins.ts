import type { Local } from "./encoder.js";
import { vectorLanes } from "./loop.js";
import { binsShift, fold, keyMargin, magnitudeMask, type RankedRow, vectorBytes, walk, wordBytes } from "./rank-row.js";

const infinity = 0x7f80_0000;

/**
 * Counts the elements of each bin, and leaves where an element's bin is counted in place of its rank. Bins are even
 * steps of the bits of |x| + c, where c is the mean of |x|: linear below the mean, where most elements are, and
 * logarithmic above, so that a few huge ones do no harm. Branches out if an element is not finite.
 */
export function emitCounts(row: RankedRow, giveUp: number): void {
  const { body, at, bytes, countsEnd } = row;
  const [largest, sum, magnitudes] = [body.local("v128"), body.local("v128"), body.local("v128")];
  const [bits, end, behind] = [body.local("i32"), body.local("i32"), body.local("i32")];
  body.get(at.bits).get(at.count).i32(wordBytes).op("i32.mul").op("i32.add").tee(behind);
  body.splat(0).store("v128.store", 0);
  body.get(at.bits).tee(bits).get(bytes).op("i32.add").set(end);
  body.splat(0).tee(largest).set(sum);
  walk(body, [bits], end, () => {
    body.get(bits).load("v128.load", 0).simd("f32x4.abs").set(magnitudes);
    body.get(magnitudes).get(largest).simd("i32x4.max_s").set(largest);
    body.get(magnitudes).get(sum).simd("f32x4.add").set(sum);
  });
  fold(body, largest, "i32x4.max_s", wordBytes);
  fold(body, sum, "f32x4.add", wordBytes);
  body.get(largest).extractLane(0).i32(infinity).op("i32.ge_u").branchIf(giveUp);
  // Padding comes after every element of the row.
  body.get(behind).get(largest).store("v128.store", 0);

  const [mean, lowest, range, shift] = [body.local("v128"), body.local("v128"), body.local("i32"), body.local("i32")];
  body.get(sum).get(at.count).simd("i32x4.splat").simd("f32x4.convert_i32x4_s").simd("f32x4.div").tee(mean);
  body.set(lowest);
  body.get(largest).get(mean).simd("f32x4.add").get(lowest).simd("i32x4.sub").extractLane(0).set(range);
  // As many bits of the range as there may be of a bin's number; none are dropped if there are not that many.
  body.get(at.count).op("i32.clz").get(range).op("i32.clz").op("i32.sub").i32(binsShift).op("i32.sub").tee(shift);
  body.i32(0).get(shift).i32(0).op("i32.gt_s").op("select").set(shift);
  body.get(range).get(shift).op("i32.shr_u").i32(1).op("i32.shl").i32(vectorBytes).op("i32.add");
  body.i32(-vectorBytes).op("i32.and").get(at.counts).op("i32.add").set(countsEnd);
  emitCounting(row, { mean, lowest, shift }, end);
}

/** The bin of x is (bits(|x| + mean) − lowest) >> shift. */
interface Bins {
  readonly mean: Local;
  readonly lowest: Local;
  readonly shift: Local;
}

function emitCounting({ body, at, countsEnd }: RankedRow, { mean, lowest, shift }: Bins, end: Local): void {
  const [pointer, ranks, count] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const counts = body.local("v128");
  body.get(at.counts).tee(pointer).simd("i32x4.splat").set(counts);
  walk(body, [pointer], countsEnd, () => body.get(pointer).splat(0).store("v128.store", 0));
  body.get(at.bits).set(pointer).get(at.ranks).set(ranks);
  walk(body, [pointer, ranks], end, () => {
    body.get(ranks);
    body.get(pointer).load("v128.load", 0).simd("f32x4.abs").get(mean).simd("f32x4.add");
    body.get(lowest).simd("i32x4.sub").get(shift).simd("i32x4.shr_u").i32(1).simd("i32x4.shl");
    body.get(counts).simd("i32x4.add").store("v128.store", 0);
    for (let lane = 0; lane < vectorLanes; lane += 1) {
      body
        .get(ranks)
        .load("i32.load", wordBytes * lane)
        .tee(count);
      body.get(count).load("i32.load16_u", 0).i32(1).op("i32.add").store("i32.store16", 0);
    }
  });
}

/** Turns counts into the places where bins start, and sets `most` to the most elements that a bin has beside one. */
export function emitStarts({ body, at, countsEnd }: RankedRow, most: Local): void {
  const [counts, sums, before, largest] = [
    body.local("v128"),
    body.local("v128"),
    body.local("v128"),
    body.local("v128"),
  ];
  const pointer = body.local("i32");
  body.splat(0).tee(before).set(largest);
  body.get(at.counts).set(pointer);
  walk(body, [pointer], countsEnd, () => {
    body.get(pointer).load("v128.load", 0).tee(counts).set(sums);
    body.get(counts).get(largest).simd("i16x8.max_u").set(largest);
    for (const by of [2, 4, 8]) {
      const later = Array.from({ length: vectorBytes }, (_, byte) => vectorBytes - by + byte);
      body.splat(0).get(sums).shuffle(later).get(sums).simd("i16x8.add").set(sums);
    }
    body.get(pointer);
    body.get(sums).get(counts).simd("i16x8.sub").get(before).simd("i16x8.add").store("v128.store", 0);
    const lastLane = Array.from({ length: vectorBytes }, (_, byte) => vectorBytes - 2 + (byte % 2));
    body.get(sums).get(sums).shuffle(lastLane).get(before).simd("i16x8.add").set(before);
  });
  fold(body, largest, "i16x8.max_u", 2);
  body.get(largest).extractLane(0).i32(0xffff).op("i32.and").i32(1).op("i32.sub").set(most);
}

/** Writes each magnitude, and where its rank goes, to its place, equal ones in their own order. */
export function emitPlaces({ body, at, bytes }: RankedRow): void {
  const [bits, ranks, end] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const [start, place] = [body.local("i32"), body.local("i32")];
  body.get(at.ranks).set(ranks).get(at.bits).tee(bits).get(bytes).op("i32.add").set(end);
  walk(body, [bits, ranks], end, () => {
    for (let lane = 0; lane < vectorLanes; lane += 1) {
      const word = wordBytes * lane;
      body.get(ranks).load("i32.load", word).tee(start).get(start).load("i32.load16_u", 0).tee(place);
      body.i32(1).op("i32.add").store("i32.store16", 0);
      body.get(place).i32(wordBytes).op("i32.mul").tee(place).get(at.keys).op("i32.add");
      body.get(bits).load("i32.load", word).i32(magnitudeMask).op("i32.and").store("i32.store", 0);
      body.get(place).get(at.order).op("i32.add").get(ranks).i32(word).op("i32.add").store("i32.store", 0);
    }
  });
  const margin = wordBytes * keyMargin;
  for (let byte = 0; byte < margin; byte += vectorBytes) {
    body.get(at.keys).i32(margin).op("i32.sub").splat(0).store("v128.store", byte);
    body.get(at.keys).get(bytes).op("i32.add").splat(magnitudeMask).store("v128.store", byte);
  }
}
