import { encodeModule, FunctionBody } from "./encoder.js";
import { emitCounts, emitPlaces, emitStarts } from "./rank-bins.js";
import { emitInsertion, emitRanks, reaches } from "./rank-list.js";
import { type RankCall, type RankedRow, rankParameters, wordBytes } from "./rank-row.js";

export function rankArguments(call: RankCall): number[] {
  return rankParameters.map((name) => call[name]);
}

/**
 * A function that ranks a row as rankRow() does, with no branch on the data where it is smooth. Elements go to bins of
 * a few each, as bucket sort does (Knuth, The Art of Computer Programming 3, section 5.2.5); an element's rank is then
 * its place, plus the smaller keys behind it, minus the larger ones before it, none of which is further than its bin is
 * long. Where a bin is long, which mostly means ties, the list is sorted by insertion. Rows for which that takes too
 * long, and rows with elements that are not finite, are left alone.
 */
export function encodeRankRow(maximumPages: number): Uint8Array<ArrayBuffer> {
  const body = new FunctionBody(rankParameters.length);
  const at = Object.fromEntries(rankParameters.map((name, place) => [name, place])) as RankedRow["at"];
  const row = { body, at, bytes: body.local("i32"), countsEnd: body.local("i32") };
  const most = body.local("i32");
  body.get(at.count).i32(3).op("i32.add").i32(-4).op("i32.and").i32(wordBytes).op("i32.mul").set(row.bytes);
  body.get(at.done).i32(0).store("i32.store", 0);
  body.block(() => {
    emitCounts(row, 0);
    emitStarts(row, most);
    emitPlaces(row);
    body.block(() => {
      for (const reach of reaches) {
        body.get(most).i32(reach).op("i32.le_u");
        body.if(() => {
          emitRanks(row, reach);
          body.branch(1);
        });
      }
      emitInsertion(row, 1);
      emitRanks(row, 0);
    });
    body.get(at.done).i32(1).store("i32.store", 0);
  });
  return encodeModule(body, rankParameters.length, maximumPages);
}
