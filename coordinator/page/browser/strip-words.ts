import type { Cell } from "../../../shared/cluster/cells.js";
import type { UnitsRecord } from "../../../shared/cluster/units-record.js";
import { bytes, count, duration, oneLine, visible } from "./words.js";

const stateWords: Readonly<Record<Cell["state"], string>> = {
  waiting: "waits",
  running: "runs",
  twice: "runs twice at once, for it takes long",
  done: "is done",
  partly: "is done in part",
};

export interface Told {
  readonly title: string;
  readonly lines: readonly string[];
}

/** What is known of the units of a cell. */
export function describeCell(cell: Cell, place: number, record: UnitsRecord): Told {
  const first = place * record.unitsPerCell;
  const last = Math.min(record.units, first + record.unitsPerCell) - 1;
  const isIn = ({ unit }: { readonly unit: number }): boolean => unit >= first && unit <= last;
  const attempts = record.running.filter(isIn);
  const failures = record.failures.filter(isIn);
  const isOne = last === first;
  const agent = cell.agent === undefined ? undefined : record.agents[cell.agent]?.name;
  const done = [
    ...(cell.milliseconds === undefined
      ? []
      : [`${isOne ? "" : "on average "}about ${duration(cell.milliseconds / 1_000)}`]),
    ...(cell.bytes === undefined ? [] : [`about ${bytes(cell.bytes)} read and written`]),
  ];
  const tries = cell.attempts >= 15 ? "15 attempts or more" : count(cell.attempts, "attempt");
  return {
    title: isOne ? `Unit ${first} ${stateWords[cell.state]}` : `Units ${first} to ${last}: ${groupWords(cell)}`,
    lines: [
      ...(agent !== undefined && attempts.length === 0
        ? [`${cell.state === "done" ? "by" : "last on"} ${oneLine(agent, 80)}`]
        : []),
      ...(done.length === 0 ? [] : [done.join(", ")]),
      ...(cell.attempts > 1 ? [`${tries}${isOne ? "" : " at one of them"}`] : []),
      ...attempts.slice(0, 4).map(({ agent: on, attempt, seconds, unit }) => {
        return `${isOne ? "" : `unit ${unit}: `}attempt ${attempt} on ${oneLine(on, 80)}, for ${duration(seconds)}`;
      }),
      ...failures.slice(0, 3).map(({ unit, agent: on, attempt, code, reason }) => {
        return `${isOne ? "" : `unit ${unit}: `}attempt ${attempt} failed on ${oneLine(on, 80)}, ${visible(code, 40)}: ${oneLine(reason)}`;
      }),
      ...(cell.hasFailed && failures.length === 0 ? ["an attempt failed; why is among what happened"] : []),
    ],
  };
}

function groupWords({ state }: Cell): string {
  if (state === "running") return "at least one runs";
  if (state === "twice") return "at least one runs twice at once";
  if (state === "done") return "all done";
  return state === "partly" ? "some done" : "all wait";
}

/** The strip in a sentence. */
export function describeStrip(cells: readonly Cell[], record: UnitsRecord): string {
  const of = (state: Cell["state"]): number => cells.filter((cell) => cell.state === state).length;
  const what = record.unitsPerCell === 1 ? "units" : `groups of ${record.unitsPerCell} units`;
  const failed = cells.filter(({ hasFailed }) => hasFailed).length;
  const parts = [
    `${of("done")} done`,
    `${of("running")} running`,
    ...(of("twice") > 0 ? [`${of("twice")} running twice`] : []),
    ...(of("partly") > 0 ? [`${of("partly")} done in part`] : []),
    `${of("waiting")} waiting`,
    ...(failed > 0 ? [`${failed} with a failed attempt`] : []),
  ];
  return `${cells.length} ${what}: ${parts.join(", ")}`;
}
