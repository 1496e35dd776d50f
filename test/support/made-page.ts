import { deflateRawSync } from "node:zlib";
import { Board } from "../../coordinator/page/board.js";
import { pageRoutes } from "../../coordinator/page/routes.js";
import type { PageSource } from "../../coordinator/page/source.js";
import type { JobView, NodeView } from "../../coordinator/page/types.js";
import { eventView, jobDetails, jobView, nodeView } from "../../coordinator/page/views.js";
import { type Cell, packCells } from "../../shared/cluster/cells.js";
import type { UnitsRecord } from "../../shared/cluster/units-record.js";
import { serveHttp } from "../../shared/http/server.js";
import { noLog } from "../../shared/log/log.js";
import { eventOf, jobOf, nodeOf } from "./cluster-records.js";
import { seeded } from "./random.js";

/** Texts that would do something if a page took them for its own, or turn what is around them. */
export const hostileTexts = {
  element: `<img src="https://example.com/x.png" onerror="document.title='broken'">`,
  script: `</script><script>document.title='broken'</script>`,
  turned: "safe\u202etxt.exe\u2066\u0007",
  long: "long-".repeat(2_000),
} as const;

export interface MadeUnits {
  readonly units: number;
  /** Share that is done, in the order of their numbers. */
  readonly done: number;
  readonly agents: readonly string[];
  readonly kept?: number;
  readonly failures?: UnitsRecord["failures"];
}

/** Units as a leader would tell them in the middle of its work. */
export function unitsOf({ units, done, agents, kept = 0, failures = [] }: MadeUnits): UnitsRecord {
  const random = seeded(units);
  const cells = Array.from({ length: units }, (_, i): Cell => {
    const at = i / units;
    const agent = Math.floor(random() * agents.length);
    const hasFailed = failures.some(({ unit }) => unit === i);
    const times = { milliseconds: 900 * 2 ** (2.5 * random() + (agent === 1 ? 1.5 : 0)), bytes: 268e6 };
    const nothing = { milliseconds: undefined, bytes: undefined };
    if (at < done) return { state: "done", hasFailed, attempts: hasFailed ? 2 : 1, agent, ...times };
    if (at < done + 0.012)
      return { state: i % 5 === 0 ? "twice" : "running", hasFailed, attempts: 1, agent, ...nothing };
    return {
      state: "waiting",
      hasFailed,
      attempts: hasFailed ? 1 : 0,
      agent: hasFailed ? agent : undefined,
      ...nothing,
    };
  });
  const rates = Array.from(
    { length: 90 },
    (_, i) => 2.2e9 * Math.min(1, i / 8) * (0.8 + 0.25 * random()) * (i > 50 && i < 58 ? 0.4 : 1),
  );
  const running = cells.flatMap(({ state, agent }, unit) => {
    if (state !== "running" && state !== "twice") return [];
    return [{ unit, agent: agents[agent ?? 0] ?? "", attempt: 1, seconds: 3 + (unit % 7) }];
  });
  return {
    since: new Date(Date.now() - 754_000).toISOString(),
    phase: "merging",
    plan: { method: "ties", models: 4, tensors: 723, files: 29, bytes: 141e9 },
    kept: { pieces: Math.round(kept * units), bytes: kept * 141e9 },
    ...{
      units,
      unitsPerCell: 1,
      agents: agents.map((name, i) => ({ name, running: i % 3, bytesPerSecond: 2.4e8 + 3e7 * i })),
    },
    cells: deflateRawSync(packCells(cells), { level: 1 }).toString("base64"),
    bytesPerSecond: rates.at(-1) ?? 0,
    history: { seconds: 8, rates },
    running: running.slice(0, 64),
    failures: [...failures],
  };
}

export interface MadePageOptions {
  /** @default 1 */
  readonly running?: number;
  readonly jobs?: number;
  readonly nodes?: number;
  readonly units?: number;
  readonly isHostile?: boolean;
  readonly token?: string;
  /** What the report of every sweep is. */
  readonly report?: string;
}

/** A page with made-up contents, served on loopback. */
export async function servePage(options: MadePageOptions = {}) {
  const { running = 1, jobs = 12, nodes = 9, units = 620, isHostile = false, token, report } = options;
  const board = new Board();
  const asked: string[] = [];
  const name = isHostile ? hostileTexts.element : "coordinator-1";
  board.set("server", "this", {
    ...{ name, version: "0.1.0", isConnected: true, jobsLeftOut: 0, nodesLeftOut: 0 },
    ...{ hasSweeps: false, canAct: token !== undefined },
  });
  fillNodes(board, nodes, isHostile);
  fillJobs(board, { running, jobs, units, isHostile });
  fillEvents(board, isHostile);
  const source: PageSource = {
    board,
    job: async (id) => {
      const view = board.get("jobs", id);
      if (view === undefined) return undefined;
      const record = jobOf(id, {
        ...view,
        request: { ...jobOf(id).request, recipe: { text: recipe, file: "/recipes/ties.yaml" } },
      });
      const events = board.keys("events").flatMap((key) => board.get("events", key) ?? []);
      return jobDetails(
        record,
        view,
        board.get("units", id),
        events.filter(({ job }) => job === id),
      );
    },
    actions: {
      cancel: async (job) => {
        asked.push(`cancel ${job}`);
        return "done";
      },
      drain: async (node) => {
        asked.push(`drain ${node}`);
        return "done";
      },
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const sweeps = report === undefined ? undefined : { report: async () => Buffer.from(report) };
  const serve = (port: number) =>
    serveHttp(pageRoutes(source, { sweeps }), { host: "127.0.0.1", port, token, log: noLog });
  let server = await serve(0);
  const { url } = server;
  return {
    ...{ board, asked, url },
    stop: () => server.close(),
    /** Again at the same address. */
    start: async () => {
      server = await serve(Number(new URL(url).port));
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

const recipe = `merge_method: ties
base_model: meta/base-70b
models:
  - model: org/math-70b
    parameters: { weight: 0.6, density: 0.5 }
  - model: org/code-70b
    parameters: { weight: 0.4, density: 0.5 }
dtype: bfloat16
`;

const agentNames = ["gpu-a1", "gpu-a2", "gpu-b1", "gpu-b2", "storage-1", "storage-2", "spare-1"];

function fillNodes(board: Board, nodes: number, isHostile: boolean): void {
  const put = (node: NodeView): void => board.set("nodes", node.name, node);
  for (const name of ["coordinator-1", "coordinator-2"]) {
    put(
      nodeView(
        nodeOf(name, { role: "coordinator", slots: 2, running: name === "coordinator-1" ? 1 : 0, memoryBytes: 0 }),
        "live",
      ),
    );
  }
  const startedAt = new Date(Date.now() - 6_000_000).toISOString();
  for (let i = 0; i < nodes - 2; i += 1) {
    const name = agentNames[i] ?? `agent-${i}`;
    const devices = name.startsWith("gpu") ? ["cuda", "cpu"] : ["cpu"];
    const record = nodeOf(name, {
      slots: 8,
      running: (i * 3) % 9,
      memoryBytes: 64e9,
      devices,
      startedAt,
      state: i === 5 ? "draining" : "ready",
    });
    put(nodeView(record, i === 3 ? "silent" : "live"));
  }
  if (!isHostile) return;
  put(nodeView(nodeOf(hostileTexts.element, { host: hostileTexts.script, devices: [hostileTexts.turned] }), "live"));
}

function fillJobs(board: Board, options: { running: number; jobs: number; units: number; isHostile: boolean }): void {
  const { running, jobs, units, isHostile } = options;
  const put = (job: JobView): void => board.set("jobs", job.id, job);
  const minutes = (count: number): string => new Date(Date.now() - 60_000 * count).toISOString();
  for (let i = 0; i < running; i += 1) {
    const id = isHostile && i === 0 ? hostileTexts.element : `llama-70b-ties-${(0x7f3a9c + i).toString(16)}`;
    const progress = {
      units,
      unitsDone: Math.round(0.58 * units),
      work: 564e9,
      workDone: 331e9,
      agents: 6,
      slots: 41,
      retries: 3,
    };
    const job = jobOf(id, { state: "running", leader: "coordinator-1", submittedAt: minutes(14), starts: 1 });
    put(jobView(job, { ...progress, bytesPerSecond: 2.1e9, etaSeconds: 111 }, undefined));
    const why =
      'Cannot read 268,435,456 bytes of "/mnt/models/code-70b/model-00012-of-00029.safetensors": input/output error';
    const reason = isHostile ? hostileTexts.script : why;
    const failures = [
      { unit: 41, agent: "gpu-b2", attempt: 1, code: "agent_lost", reason: 'Agent "gpu-b2" is lost' },
      { unit: Math.round(0.63 * units), agent: "storage-2", attempt: 1, code: "io_failed", reason },
    ];
    const agents = isHostile ? [hostileTexts.element, ...agentNames] : agentNames.slice(0, 6);
    board.set("units", id, unitsOf({ units, done: 0.58, agents, kept: 0.12, failures }));
  }
  const waiting =
    "unit 12 (model.layers.3.mlp.down_proj.weight) can run on no agent: gpu-a1: it does not see /mnt/experts/code";
  put(
    jobView(
      jobOf("mixtral-moe-19ac02", {
        state: "waiting",
        leader: "coordinator-2",
        reason: waiting,
        submittedAt: minutes(31),
        starts: 1,
      }),
      undefined,
      undefined,
    ),
  );
  put(jobView(jobOf("qwen-slerp-5d01e7", { submittedAt: minutes(2) }), undefined, undefined));
  const reason = 'recipe.yaml:7:14: Unknown parameter "densty": did you mean "density"?';
  const ended = { leader: "coordinator-1", starts: 1 };
  put(
    jobView(
      jobOf("phi-dare-c0ffee", {
        ...ended,
        state: "failed",
        code: "recipe_invalid",
        reason,
        submittedAt: minutes(55),
        endedAt: minutes(54),
      }),
      undefined,
      undefined,
    ),
  );
  if (isHostile) {
    put(
      jobView(
        jobOf("hostile-1", {
          ...ended,
          state: "failed",
          reason: hostileTexts.long,
          submittedBy: hostileTexts.turned,
          endedAt: minutes(4),
        }),
        undefined,
        undefined,
      ),
    );
    put(
      jobView(
        jobOf("hostile-2", {
          ...ended,
          state: "failed",
          reason: hostileTexts.script,
          leader: hostileTexts.element,
          endedAt: minutes(3),
        }),
        undefined,
        undefined,
      ),
    );
  }
  for (let i = 4; i < jobs; i += 1) {
    const state = i % 6 === 5 ? "canceled" : "done";
    const id = `gemma-linear-${(0xabc00 + i).toString(16)}`;
    put(
      jobView(
        jobOf(id, { ...ended, state, submittedAt: minutes(60 + 20 * i), endedAt: minutes(50 + 20 * i) }),
        undefined,
        undefined,
      ),
    );
  }
}

function fillEvents(board: Board, isHostile: boolean): void {
  const job = "llama-70b-ties-7f3a9c";
  const told = [
    eventOf({ job, node: "coordinator-1", type: "leading", message: `Leads job "${job}", start 1` }),
    eventOf({ job, node: "coordinator-1", type: "planned", message: "Planned: 723 tensors" }),
    eventOf({ node: "spare-1", type: "started", message: 'Agent "spare-1" takes units at 10.0.0.7:4000, 8 at once' }),
    eventOf({
      job,
      level: "warning",
      node: "coordinator-1",
      type: "agent lost",
      message: "Agent gpu-b2 is lost: it has not answered for 5 s",
    }),
    eventOf({
      job,
      level: "warning",
      node: "coordinator-1",
      type: "unit failed",
      message: 'Unit 41 failed on gpu-b2: Agent "gpu-b2" is lost; again in 100 ms',
      fields: { unit: 41, code: "agent_lost" },
    }),
    eventOf({
      job: "phi-dare-c0ffee",
      level: "error",
      node: "coordinator-1",
      type: "job failed",
      message: 'recipe.yaml:7:14: Unknown parameter "densty": did you mean "density"?',
      fields: { code: "recipe_invalid" },
    }),
    eventOf({
      node: "storage-2",
      type: "draining",
      message: 'Agent "storage-2" takes no more units, as "ada@workstation" ordered; 3 are running',
    }),
    ...(isHostile
      ? [
          eventOf({
            level: "error",
            node: hostileTexts.element,
            job: hostileTexts.turned,
            type: hostileTexts.script.slice(0, 60),
            message: hostileTexts.element,
          }),
        ]
      : []),
  ];
  for (const [i, event] of told.entries())
    board.set(
      "events",
      String(i + 1),
      eventView({ ...event, at: new Date(Date.now() - 9_000 * (told.length - i)).toISOString() }, i + 1),
    );
}
