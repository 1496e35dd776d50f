import { expect, test } from "vitest";
import { Complaints, recipeError } from "../../../../coordinator/recipe/complaints.js";
import { messageOf } from "./message-of.js";

test("recipeError() puts complaints in the order of the text, each on its line", () => {
  const error = recipeError("a.yaml", [
    { at: { line: 10, column: 1 }, message: "d" },
    { at: { line: 2, column: 12 }, message: "c" },
    { at: { line: 2, column: 3 }, message: "a" },
    { at: { line: 2, column: 3 }, message: "b" },
    { at: { line: 2, column: 3 }, message: "a" },
  ]);
  expect(error.message).toBe("a.yaml:2:3  a\na.yaml:2:3  b\na.yaml:2:12  c\na.yaml:10:1  d");
  expect(error.exitCode).toBe(2);
  expect(error.details).toEqual({ file: "a.yaml", complaints: "4" });
});

test("Complaints throws all that it was told, and nothing when it was told nothing", () => {
  const complaints = new Complaints("a.yaml");
  complaints.throwIfAny();
  complaints.add({ line: 2, column: 1 }, "second");
  complaints.add({ line: 1, column: 1 }, "first");
  expect(messageOf(() => complaints.throwIfAny())).toBe("a.yaml:1:1  first\na.yaml:2:1  second");
  expect(() => complaints.fail({ line: 3, column: 1 }, "third")).toThrow(/first\n.*second\n.*third$/);
});
