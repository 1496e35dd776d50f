/** The object at a path in a parsed config.json; undefined where there is none. */
export function objectAt(config: unknown, path: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  const value = valueAt(config, path);
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

/** The value at a path in a parsed config.json; undefined where there is none. */
export function valueAt(config: unknown, path: readonly string[]): unknown {
  let value = config;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

/** A whole number that counts something; undefined for anything else. */
export function countAt(config: unknown, path: readonly string[]): number | undefined {
  const value = valueAt(config, path);
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
