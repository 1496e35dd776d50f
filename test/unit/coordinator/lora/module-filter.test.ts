import { expect, test } from "vitest";
import { findModules, readExpression } from "../../../../coordinator/lora/module-filter.js";

const modules = ["layers.0.up", "layers.0.down", "layers.1.up"];

test("findModules() finds what one of the expressions finds, and nothing without any", () => {
  expect([...findModules(modules, [/up$/, /^layers\.0/])]).toEqual(modules);
  expect([...findModules(modules, [/down/])]).toEqual(["layers.0.down"]);
  expect(findModules(modules, []).size).toBe(0);
});

test("findModules() gives up on an expression that would not come to an end", () => {
  expect(() => findModules([`${"a".repeat(60)}!`], [/^(a+)+$/], 50)).toThrow(
    /^Cannot look for modules with "\^\(a\+\)\+\$": it takes longer than 0\.05 s/,
  );
});

test("readExpression() says what is wrong with one", () => {
  expect(() => readExpression("(")).toThrow(/^Cannot use "\(" as an expression: .*Unterminated group/);
});
