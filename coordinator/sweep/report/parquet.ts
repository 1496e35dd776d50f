import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer";
import { packageVersion } from "../../../shared/rpc/version.js";
import type { ParameterValue } from "../space.js";
import type { TrialRecord } from "../types.js";
import { timeParts } from "./data.js";

/**
 * Trials as a table: a row for each, and a column for each field, parameter ("point." and its name), objective
 * ("objective."), metric ("metric.", the task, ".", the metric) and part of the time ("seconds."). What a trial does not have
 * is null; a score that is not a number is NaN.
 */
export function trialsParquet(trials: readonly TrialRecord[]): Uint8Array {
  const of = <Value>(value: (trial: TrialRecord) => Value | undefined): (Value | null)[] => {
    return trials.map((trial) => value(trial) ?? null);
  };
  const named = (names: (trial: TrialRecord) => readonly string[]): readonly string[] => [
    ...new Set(trials.flatMap(names)),
  ];
  const whole = (name: string, value: (trial: TrialRecord) => number | undefined): ColumnSource => {
    return { name, data: of(value), type: "INT32" };
  };
  const real = (name: string, value: (trial: TrialRecord) => number | undefined): ColumnSource => {
    return { name, data: of(value), type: "DOUBLE" };
  };
  const bytes = (name: string, value: (trial: TrialRecord) => number | undefined): ColumnSource => {
    return { name, data: of((trial) => bigOf(value(trial))), type: "INT64" };
  };
  const text = (name: string, value: (trial: TrialRecord) => string | undefined): ColumnSource => {
    return { name, data: of(value), type: "STRING" };
  };
  const parameters = named(({ point }) => Object.keys(point));
  const objectives = named(({ objectives }) => Object.keys(objectives));
  const metrics = new Map(
    trials.flatMap((trial) =>
      Object.entries(trial.metrics).flatMap(([task, all]) =>
        Object.keys(all).map((metric) => [`${task}.${metric}`, [task, metric] as const] as const),
      ),
    ),
  );
  const columnData: ColumnSource[] = [
    whole("trial", ({ trial }) => trial),
    text("status", ({ status }) => status),
    text("label", ({ label }) => label),
    text("reference", ({ reference }) => reference),
    whole("rung", ({ rung }) => rung),
    ...objectives.map((name) => real(`objective.${name}`, (trial) => trial.objectives[name])),
    real("loss", ({ loss }) => loss),
    real("violation", ({ violation }) => violation),
    ...parameters.map((name) =>
      parameterColumn(
        name,
        of(({ point }) => point[name]),
      ),
    ),
    ...[...metrics].map(([name, [task, metric]]) => real(`metric.${name}`, (trial) => trial.metrics[task]?.[metric])),
    whole("examples", ({ examples }) => examples),
    whole("fresh", ({ fresh }) => fresh),
    text("agent", ({ facts }) => facts?.agent),
    text("provider", ({ facts }) => facts?.provider),
    whole("attempts", ({ facts }) => facts?.attempts),
    ...timeParts.map((part) => real(`seconds.${part}`, ({ facts }) => facts?.seconds[part])),
    real("seconds", ({ seconds }) => seconds),
    bytes("peak_bytes", ({ facts }) => facts?.peakBytes),
    bytes("budget_bytes", ({ facts }) => facts?.budgetBytes),
    { name: "retried", data: trials.map(({ retried }) => retried === true), type: "BOOLEAN" },
    { name: "started_at", data: trials.map(({ startedAt }) => new Date(startedAt)), type: "TIMESTAMP" },
    text("failure_code", ({ failure }) => failure?.code),
    text("failure", ({ failure }) => failure?.message),
    text("key", ({ key }) => key),
    text("weights", ({ weights }) => weights),
  ];
  return new Uint8Array(parquetWriteBuffer({ columnData, createdBy: `Amalgam ${packageVersion()}` }));
}

/** Numbers, or truths, or whatever else as text. */
function parameterColumn(parameter: string, data: (ParameterValue | null)[]): ColumnSource {
  const name = `point.${parameter}`;
  const kinds = new Set(data.filter((value) => value !== null).map((value) => typeof value));
  const [kind] = kinds;
  if (kinds.size === 1 && kind === "number") return { name, data, type: "DOUBLE" };
  if (kinds.size === 1 && kind === "boolean") return { name, data, type: "BOOLEAN" };
  return { name, data: data.map((value) => (value === null ? null : String(value))), type: "STRING" };
}

function bigOf(value: number | undefined): bigint | undefined {
  return value !== undefined && Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined;
}
