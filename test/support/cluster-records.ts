import type { Bus } from "../../shared/bus/bus.js";
import { type ClusterEvent, type JobRecord, keys, type NodeRecord } from "../../shared/cluster/records.js";
import { kernelsVersion, protocolVersion } from "../../shared/rpc/version.js";

// What coordinators and agents would write, for tests that are about reading it.

/** One for all, so that what is made twice is the same. */
const now = new Date().toISOString();

export function jobOf(id: string, fields: Partial<JobRecord> = {}): JobRecord {
  return {
    id,
    request: {
      recipe: { text: "merge_method: linear\n", file: "/recipes/linear.yaml" },
      output: `/outputs/${id}`,
      assembly: "auto",
      shardBytes: 5e9,
      overwrite: false,
    },
    state: "queued",
    cancel: false,
    starts: 0,
    submittedBy: "ada@workstation",
    submittedAt: now,
    ...fields,
  };
}

export function nodeOf(name: string, fields: Partial<NodeRecord> = {}): NodeRecord {
  return {
    name,
    instance: `${name}-1`,
    role: "agent",
    address: "127.0.0.1:4000",
    host: "workstation",
    pid: 1,
    version: "0.1.0",
    protocol: protocolVersion,
    kernels: kernelsVersion,
    state: "ready",
    slots: 4,
    memoryBytes: 2e9,
    roots: ["/models"],
    running: 1,
    beat: 1,
    beatMs: 100,
    startedAt: now,
    ...fields,
  };
}

export function eventOf(fields: Partial<ClusterEvent> = {}): ClusterEvent {
  return { at: now, level: "info", node: "c1", type: "said", message: "something", ...fields };
}

/**
 * A node that is alive: its record is written again and again until the end of the scope, which takes it away. Who hears
 * what is written after this has returned has heard it twice, and so takes it for alive.
 */
export async function beating(bus: Bus, fields: NodeRecord): Promise<AsyncDisposable> {
  let beat = fields.beat;
  let last = Promise.resolve(0);
  const write = (): void => {
    beat += 1;
    last = bus.nodes.put(keys.node(fields.name), JSON.stringify({ ...fields, beat })).catch(() => 0);
  };
  write();
  await last;
  write();
  await last;
  const timer = setInterval(write, fields.beatMs);
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await last;
      await bus.nodes.delete(keys.node(fields.name)).catch(() => {});
    },
  };
}
