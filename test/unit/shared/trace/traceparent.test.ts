import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { formatTraceparent, parseTraceparent } from "../../../../shared/trace/tracing.js";

const [trace, span] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];

test.each([
  [`00-${trace}-${span}-01`, 1],
  [`00-${trace}-${span}-00`, 0],
  [`01-${trace}-${span}-01-what-is-new`, 1],
])("%s is read", (text, flags) => {
  expect(parseTraceparent(text)).toEqual({ traceId: trace, spanId: span, flags });
});

test("what is written is read again", () => {
  const parent = { traceId: trace, spanId: span, flags: 1 };
  expect(parseTraceparent(formatTraceparent(parent))).toEqual(parent);
});

test.each([
  undefined,
  "",
  `ff-${trace}-${span}-01`,
  `00-${"0".repeat(32)}-${span}-01`,
  `00-${trace}-${"0".repeat(16)}-01`,
  `00-${trace}-${span}-01-more`,
  `00-${trace.toUpperCase()}-${span}-01`,
  `00-${trace}-${span}`,
  ` 00-${trace}-${span}-01`,
])("%s is none", (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
});

/** What a process has loaded after these words. */
function modulesAfter(words: string): readonly string[] {
  const address = JSON.stringify(new URL("../../../../shared/trace/open-tracing.js", import.meta.url).href);
  const script = `
    import { createRequire } from "node:module";
    import { openTracing } from ${address};
    const log = { warning: () => undefined };
    await openTracing({ service: "test", node: "test", log, environment: {}, ...${words} });
    console.log(JSON.stringify(Object.keys(createRequire(import.meta.url).cache)));
    process.exit();`;
  return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }));
}

test("nothing of OpenTelemetry is loaded unless traces are asked for", () => {
  const isIts = (path: string): boolean => path.includes("@opentelemetry");
  expect(modulesAfter("{ isOn: false }").filter(isIts)).toEqual([]);
  expect(modulesAfter('{ isOn: true, environment: { OTEL_SDK_DISABLED: "true" } }').filter(isIts)).toEqual([]);
  expect(modulesAfter("{ isOn: true }").filter(isIts).length).toBeGreaterThan(0);
});
