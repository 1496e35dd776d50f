import type { AmalgamError, ErrorCode } from "../../shared/errors.js";
import { isNotKept } from "./store/not-kept.js";

const codes: ReadonlySet<ErrorCode> = new Set(["canceled", "checkpoint_changed", "bus_failed", "fenced"]);

/** Whether an error says nothing about the trial that met it: the sweep stops, and its search is not told. */
export function endsSweep(error: AmalgamError): boolean {
  return codes.has(error.code) || isNotKept(error);
}
