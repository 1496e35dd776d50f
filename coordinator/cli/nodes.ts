import { formatBytes } from "../../shared/bytes.js";
import { systemClock } from "../../shared/clock.js";
import type { NodeRecord } from "../../shared/cluster/records.js";
import { firstLook, type SeenNode } from "../cluster/first-look.js";
import { patienceMs } from "../cluster/liveness.js";
import { unfitBecause } from "../dispatch/agent-description.js";
import { onCluster } from "./cluster-access.js";
import type { ClusterOptions } from "./cluster-options.js";
import { formatAge, formatSeconds } from "./duration.js";
import { printable } from "./printable.js";
import { formatTable } from "./table.js";
import type { Terminal } from "./terminal.js";

/** `amalgam nodes`: who is in the cluster. Takes as long as it takes to tell the silent from the slow. */
export function nodes(options: ClusterOptions, { stdout }: Terminal): Promise<number> {
  return onCluster(options, "nodes", async (bus) => {
    const seen = await firstLook(bus, systemClock);
    if (options.json)
      stdout.write(
        `${JSON.stringify(seen.map(({ record, life }) => ({ ...record, life, unfit: unfitOf(record) })))}\n`,
      );
    else stdout.write(seen.length === 0 ? "No node has joined the cluster\n" : formatNodes(seen));
    return 0;
  });
}

const columns = ["NODE", "ROLE", "STATE", "RUNS", "MEMORY", "VERSION", "AGE", "ADDRESS", "ROOTS"];

function formatNodes(seen: readonly SeenNode[]): string {
  const now = Date.now();
  const rows = seen.map(({ record, life }) => {
    const isAgent = record.role === "agent";
    const silent = `silent for ${formatSeconds(patienceMs(record) / 1000)} or more`;
    return [
      record.name,
      record.role,
      life === "live"
        ? unfitOf(record) === undefined
          ? record.state
          : "not used"
        : life === "stale"
          ? silent
          : `${record.state} (not heard)`,
      isAgent ? `${record.running}/${record.slots} units` : `${record.running}/${record.slots} jobs`,
      isAgent ? formatBytes(record.memoryBytes) : "-",
      record.version,
      formatAge(record.startedAt, now),
      record.address ?? record.host,
      record.roots.length === 0 ? "-" : record.roots.join(", "),
    ];
  });
  const unfit = seen.flatMap(({ record }) => {
    const reason = unfitOf(record);
    return reason === undefined ? [] : [`${printable(record.name)} is not used: ${printable(reason)}\n`];
  });
  return formatTable(columns, rows) + unfit.join("");
}

/** Why a node is none for whoever is of this version. */
function unfitOf(record: NodeRecord): string | undefined {
  return record.role === "agent" ? unfitBecause(record) : undefined;
}
