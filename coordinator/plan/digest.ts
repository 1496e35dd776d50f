import { createHash } from "node:crypto";
import type { Plan, PlannedInput, StoredTensor } from "./types.js";

/** Characters hashed at a time: for a hundred bytes, calling the hash takes longer than hashing. */
const flushLength = 1 << 16;

/**
 * A plan's identity: SHA-256 over what decides the output's bytes, in a fixed order. Folder names and times are left
 * out, so a plan is the same wherever its sources lie; a source counts by its size and its header.
 */
export function digestPlan(plan: Omit<Plan, "digest">): string {
  const hash = createHash("sha256");
  let text = "";
  const flush = (): void => {
    hash.update(text);
    text = "";
  };
  const add = (value: unknown): void => {
    text += `${JSON.stringify(value)}\n`;
    if (text.length > flushLength) flush();
  };
  add(["amalgam plan", 2, plan.method, plan.seed]);
  for (const { model, name, bytes, headerSha256 } of plan.sources) add([model, name, bytes, headerSha256]);
  for (const { nodes, output, inputs } of plan.programs) {
    add([nodes.map(({ op, args, value, scope }) => [op, args, encodeNumber(value), scope ?? null]), output, inputs]);
  }
  for (const { name, bytes, header } of plan.files)
    add([name, bytes, createHash("sha256").update(header).digest("hex")]);
  for (const tensor of plan.tensors) {
    const { name, program, parameters, inputs, file, offset, randomStreams } = tensor;
    add([name, program, parameters.map(encodeNumber), inputs.map(describeInput), file, offset, randomStreams ?? null]);
  }
  const { configFrom, configEdits, tokenizerFrom, files, withheld } = plan.companions;
  add([configFrom, configEdits, tokenizerFrom, withheld]);
  for (const [name, bytes] of files) add([name, createHash("sha256").update(bytes).digest("hex")]);
  flush();
  return hash.digest("hex");
}

function describeInput(input: PlannedInput): unknown {
  const { rows } = input;
  if (rows === undefined) return describeStored(input);
  return [rows.tensors.map(describeStored), rows.columns, rows.segments];
}

function describeStored({ source, offset, dtype, updates }: StoredTensor): unknown {
  if (updates === undefined) return [source, offset, dtype];
  const factors = updates.map(({ a, b, rank, scale, transposed }) => {
    return [describeStored(a), describeStored(b), rank, encodeNumber(scale), transposed];
  });
  return [source, offset, dtype, factors];
}

/** JSON has no −0 and no infinities. */
function encodeNumber(value: number): number | string {
  return Number.isFinite(value) && !Object.is(value, -0) ? value : String(value);
}
