import type { Complaints } from "../../recipe/complaints.js";
import type { Fields } from "../../recipe/fields.js";
import { describe } from "../../recipe/wording.js";
import { numberOf } from "../../recipe/yaml/node.js";

/** See `RangeDimension`. */
export interface RangeValues {
  readonly kind: "range";
  readonly low: number;
  readonly high: number;
  readonly scale: "linear" | "log";
  readonly step?: number;
}

/** `range: [low, high]` with its scale and steps. */
export function readRange(fields: Fields, complaints: Complaints): RangeValues | undefined {
  const ends = readEnds(fields, complaints);
  const scale = fields.has("scale") ? fields.choice("scale", ["linear", "log"]) : "linear";
  const integer = fields.has("integer") ? fields.boolean("integer") : false;
  if (ends === undefined || scale === undefined || integer === undefined) return undefined;
  const [low, high] = ends;
  if (scale === "log") return readLog(ends, fields, complaints);
  const step = readStep(fields, ends, integer, complaints);
  if (step === null) return undefined;
  if (integer && !(Number.isSafeInteger(low) && Number.isSafeInteger(high))) {
    const at = fields.entry("range")?.value.at ?? { line: 1, column: 1 };
    return complaints.add(at, `Range [${low}, ${high}] of whole numbers must begin and end with one`);
  }
  return { kind: "range", low, high, scale, ...(step === undefined ? {} : { step }) };
}

function readEnds(fields: Fields, complaints: Complaints): readonly [low: number, high: number] | undefined {
  const list = fields.list("range");
  if (list === undefined) return undefined;
  const [low, high, ...more] = list.items.map(numberOf);
  if (low === undefined || high === undefined || more.length > 0 || !Number.isFinite(high - low)) {
    const stray = list.items.find((item) => !Number.isFinite(numberOf(item)));
    const found = stray === undefined ? formatNumbers(list.items.length) : `${describe(stray)} among them`;
    return complaints.add(list.at, `A range is two numbers, the lower one first, such as [0, 1]; found ${found}`);
  }
  if (low < high) return [low, high];
  return complaints.add(list.at, `Range [${low}, ${high}] is empty: the first number must be the smaller one`);
}

function readLog(
  [low, high]: readonly [number, number],
  fields: Fields,
  complaints: Complaints,
): RangeValues | undefined {
  const steps = ["step", "integer"].map((key) => [key, fields.entry(key)] as const);
  for (const [key, entry] of steps) {
    if (entry === undefined || (key === "integer" && fields.boolean(key) === false)) continue;
    complaints.add(
      entry.keyAt,
      `Key "${key}" cannot stand beside "scale: log", on which equal steps are no equal ratios`,
    );
  }
  if (low > 0) return { kind: "range", low, high, scale: "log" };
  const at = fields.entry("range")?.value.at ?? { line: 1, column: 1 };
  return complaints.add(at, `Range [${low}, ${high}] has no log scale: it must begin above 0`);
}

/** Null after a complaint. Whole numbers have steps of 1 at least. */
function readStep(
  fields: Fields,
  [low, high]: readonly [number, number],
  integer: boolean,
  complaints: Complaints,
): number | undefined | null {
  const node = fields.entry("step")?.value;
  if (node === undefined) return integer ? 1 : undefined;
  const step = numberOf(node);
  if (step === undefined || !(step > 0 && step <= high - low)) {
    const length = Number((high - low).toPrecision(12));
    complaints.add(
      node.at,
      `Key "step" must be above 0 and at most ${length}, the range's length, found ${describe(node)}`,
    );
    return null;
  }
  if (!integer || Number.isSafeInteger(step)) return step;
  complaints.add(node.at, `Key "step" of whole numbers must be a whole number, found ${describe(node)}`);
  return null;
}

function formatNumbers(count: number): string {
  return count === 1 ? "1 number" : `${count} numbers`;
}
