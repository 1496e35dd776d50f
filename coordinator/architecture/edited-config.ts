import type { ConfigEdit } from "./config-edits.js";

/** A config.json's value with edits applied: what a later merge is to think of the output of an earlier one. */
export function editedConfig(config: unknown, edits: readonly ConfigEdit[]): unknown {
  return edits.reduce((edited, { path, value }) => withValue(edited, path, value), config);
}

function withValue(config: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  const settings: Readonly<Record<string, unknown>> = isSettings(config) ? config : {};
  return { ...settings, [key]: withValue(settings[key], rest, value) };
}

function isSettings(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
