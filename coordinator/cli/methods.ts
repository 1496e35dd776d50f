import { AmalgamError } from "../../shared/errors.js";
import { methods } from "../../shared/methods/index.js";
import type { MergeMethod } from "../../shared/methods/method.js";
import type { ParameterSpec, ParameterSpecs } from "../../shared/methods/parameter.js";
import { quote } from "../../shared/quote.js";
import { didYouMeanOrOneOf } from "../recipe/wording.js";
import type { Terminal } from "./terminal.js";

/** `amalgam methods`: the descriptors, as text or as they are. */
export async function listMethods(
  name: string | undefined,
  options: { json: boolean },
  { stdout }: Terminal,
): Promise<number> {
  const all = [...methods.values()];
  const shown = name === undefined ? all : all.filter((method) => method.name === name);
  if (name !== undefined && shown.length === 0) {
    throw new AmalgamError(
      "usage",
      `Unknown merge method ${quote(name)}${didYouMeanOrOneOf(name, [...methods.keys()])}`,
    );
  }
  if (options.json) stdout.write(`${JSON.stringify(shown.map(describe), undefined, 2)}\n`);
  else stdout.write(`${shown.map(format).join("\n")}`);
  return 0;
}

/** A method without its code. */
function describe({ output: _, check: __, models, ...method }: MergeMethod) {
  const { min, max } = models;
  return { ...method, models: { min, max: Number.isFinite(max) ? max : null } };
}

function format(method: MergeMethod): string {
  const { min, max } = method.models;
  const count = min === max ? `${min}` : Number.isFinite(max) ? `${min} to ${max}` : `${min} or more`;
  const base = { required: "a base and ", optional: "optionally a base, and ", none: "" }[method.base];
  const lines = [
    `${method.name}: ${method.title}`,
    `  ${method.summary}`,
    `  merges ${base}${count} model${count === "1" ? "" : "s"}; ${method.reference.title}${method.reference.url === undefined ? "" : `, ${method.reference.url}`}`,
    ...formatSpecs("per model", method.perModel),
    ...formatSpecs("once", method.merge),
    ...Object.entries(method.inert).map(([name, reason]) => `  ${name}: accepted without effect, ${reason}`),
  ];
  return `${lines.join("\n")}\n`;
}

function formatSpecs(scope: string, specs: ParameterSpecs): string[] {
  return Object.entries(specs).map(([name, spec]) => `  ${name} (${scope}, ${formatType(spec)}): ${spec.help}`);
}

function formatType(spec: ParameterSpec): string {
  if (spec.kind === "choice") return `${spec.choices.join(" | ")}, default ${spec.default}`;
  if (spec.kind === "boolean") return `true or false, default ${spec.default}`;
  if (spec.kind === "integer") return `a whole number, ${spec.min} to ${spec.max}, default ${spec.default}`;
  const bounds =
    spec.min === undefined && spec.max === undefined ? "a number" : `${spec.min ?? "−∞"} to ${spec.max ?? "∞"}`;
  if (spec.default !== undefined) return `${bounds}, default ${spec.default}`;
  return spec.optional === true ? `${bounds}, optional` : `${bounds}, required`;
}
