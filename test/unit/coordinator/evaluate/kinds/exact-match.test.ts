import { expect, test } from "vitest";
import { cutAt, exactMatch, extract, wordF1 } from "../../../../../coordinator/evaluate/kinds/exact-match.js";

test.each([
  [" The  end\n", "The end", {}, 1],
  ["the end", "The end", {}, 0],
  ["the end", "The end", { ignoreCase: true }, 1],
  ["$1,000.", "1000", { ignorePunctuation: true }, 1],
  ["1000.", "1000", {}, 0],
])("%j and %j, ignoring %j: %i", (prediction, answer, how, same) => {
  expect(exactMatch(prediction, answer, { ignoreCase: false, ignorePunctuation: false, ...how })).toBe(same);
});

test.each([
  ["the cat", "Cat.", 1],
  ["a cat sat", "the cat stood", 0.5],
  ["dog", "cat", 0],
  ["", "", 1],
  ["", "cat", 0],
  ["cat cat", "cat", 2 / 3],
  // An article is a word of its own, not a piece of one between letters that English has not.
  ["ça", "ç", 0],
])("SQuAD's F1 of %j and %j is %d", (prediction, answer, f1) => {
  expect(wordF1(prediction, answer)).toBeCloseTo(f1, 12);
});

test("a text is cut at the first stop text in it", () => {
  expect(cutAt("one. two\n\nthree", ["\n\n", ". "])).toBe("one");
  expect(cutAt("one", ["\n\n"])).toBe("one");
});

test.each([
  ["first", "(\\d+) apples", "3 apples and 4 apples", "3"],
  ["last", "(\\d+) apples", "3 apples and 4 apples", "4"],
  ["first", "\\d+", "none", undefined],
  ["last", "^A.*$", "B\nA1\nA2", "A2"],
  // Escapes that need none, as in lm-evaluation-harness's pattern for GSM8K.
  ["first", "#### (\\-?[0-9\\.\\,]+)", "so #### -1,234.5", "-1,234.5"],
] as const)("takes the %s of %s", (take, pattern, text, found) => {
  expect(extract(text, { take, pattern })).toBe(found);
});
