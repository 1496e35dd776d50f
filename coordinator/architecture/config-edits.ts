import type { JsonValue } from "../../shared/checkpoint/json-value.js";

/** A value to be set in config.json. */
export interface ConfigEdit {
  /** Keys from the outermost object inwards. */
  readonly path: readonly string[];
  readonly value: JsonValue;
}
