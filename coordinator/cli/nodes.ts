import { formatBytes } from "../../shared/bytes.js";
import { systemClock } from "../../shared/clock.js";
import { firstLook, type SeenNode } from "../cluster/first-look.js";
import { patienceMs } from "../cluster/liveness.js";
import { type ClusterOptions, onCluster } from "./cluster-options.js";
import { formatAge, formatSeconds } from "./duration.js";
import { formatTable } from "./table.js";
import type { Terminal } from "./terminal.js";

/** `amalgam nodes`: who is in the cluster. Takes as long as it takes to tell the silent from the slow. */
export function nodes(options: ClusterOptions, { stdout }: Terminal): Promise<number> {
  return onCluster(options, "nodes", async (bus) => {
    const seen = await firstLook(bus, systemClock);
    if (options.json) stdout.write(`${JSON.stringify(seen.map(({ record, life }) => ({ ...record, life })))}\n`);
    else stdout.write(seen.length === 0 ? "No node has joined the cluster\n" : formatNodes(seen));
    return 0;
  });
}

function formatNodes(seen: readonly SeenNode[]): string {
  const now = Date.now();
  const rows = seen.map(({ record, life }) => {
    const isAgent = record.role === "agent";
    const silent = `silent for ${formatSeconds(patienceMs(record) / 1000)} or more`;
    return [
      record.name,
      record.role,
      life === "live" ? record.state : life === "stale" ? silent : `${record.state} (not heard)`,
      isAgent ? `${record.running}/${record.slots} units` : `${record.running}/${record.slots} jobs`,
      isAgent ? formatBytes(record.memoryBytes) : "-",
      record.version,
      formatAge(record.startedAt, now),
      record.address ?? record.host,
      record.roots.length === 0 ? "-" : record.roots.join(", "),
    ];
  });
  return formatTable(["NODE", "ROLE", "STATE", "RUNS", "MEMORY", "VERSION", "AGE", "ADDRESS", "ROOTS"], rows);
}
