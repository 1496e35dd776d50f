import { formatBytes } from "../../shared/bytes.js";
import { formatCount, quote } from "../../shared/quote.js";
import type { Estimate } from "./estimate.js";
import type { Plan } from "./types.js";

/** A plan as a person reads it. */
export function formatPlan(plan: Plan, cost: Estimate): string {
  const rows = plan.models.map((model) => {
    const dtypes = Object.entries(model.dtypes).map(([dtype, count]) => `${formatCount(count)} ${dtype}`);
    const parameters = Object.entries(model.parameters).map(([name, value]) => `${name} ${value}`);
    const notes = [...(model.isBase ? ["base"] : []), ...parameters];
    return [`  ${showName(model.name)}`, formatBytes(model.bytes), dtypes.join(", "), notes.join(", ")];
  });
  const lines = [
    `${summarizePlan(plan)}, ${formatQuantity(cost.parameters, "parameter")}`,
    ...alignColumns(rows),
    `  reads   ${formatBytes(cost.bytesRead)} (${formatBytes(cost.bytesIn)} of sources)`,
    `  writes  ${formatBytes(cost.bytesOut)} in ${formatQuantity(plan.files.length, "file")}: ${dtypesOut(plan)}`,
    `  units   ${formatCount(cost.units)} of up to ${formatBytes(cost.largestUnit)}`,
    `  memory  ${formatBytes(cost.memoryPerAgent)} of tensor data per agent`,
    `  disk    ${formatBytes(cost.diskNeeded)} needed`,
    ...companionLines(plan.companions),
    `  digest  ${plan.digest}`,
    ...plan.warnings.map((warning) => `warning: ${warning}`),
  ];
  return lines.join("\n");
}

/** What the output's config and tokenizer say that no model's does. */
function companionLines({ configEdits, files }: Plan["companions"]): readonly string[] {
  const edits = configEdits.map(({ path, value }) => `${path.join(".")} ${JSON.stringify(value)}`);
  return [
    ...(edits.length === 0 ? [] : [`  config  ${edits.join(", ")}`]),
    ...(files.size === 0 ? [] : [`  makes   ${[...files.keys()].join(", ")}`]),
  ];
}

/** `ties of 3 models and a base, 291 tensors`. Of a base alone: `moe of 1 model, 291 tensors`. */
export function summarizePlan({ method, models, tensors }: Plan): string {
  const others = models.filter(({ isBase }) => !isBase).length;
  const base = others > 0 && others < models.length ? " and a base" : "";
  return `${method} of ${formatQuantity(others > 0 ? others : models.length, "model")}${base}, ${formatQuantity(tensors.length, "tensor")}`;
}

/** The same for machines; sizes are bytes. */
export function planToJson(plan: Plan, cost: Estimate): unknown {
  const { method, seed, digest, models, warnings } = plan;
  return {
    method,
    seed,
    digest,
    models: models.map(({ directory: _, adapterDirectory: __, cards = [], ...model }) => {
      const license = cards.find((card) => card.license !== undefined)?.license;
      return license === undefined ? model : { ...model, license };
    }),
    tensors: plan.tensors.length,
    ...cost,
    files: plan.files.map(({ name, bytes }) => ({ name, bytes })),
    config: plan.companions.configEdits,
    companions: [...plan.companions.files.keys()],
    warnings,
  };
}

/** Bare, as the recipe has it, unless it holds what a terminal would act on. */
function showName(name: string): string {
  const quoted = quote(name);
  return quoted === `"${name}"` ? name : quoted;
}

function dtypesOut(plan: Plan): string {
  const counts = new Map<string, number>();
  for (const { dtype } of plan.tensors) counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
  return [...counts].map(([dtype, tensors]) => `${formatCount(tensors)} ${dtype}`).join(", ");
}

/** `formatQuantity(1, "unit")` → `"1 unit"`, and so on with an s. */
export function formatQuantity(number: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(number)} ${number === 1 ? noun : plural}`;
}

function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
