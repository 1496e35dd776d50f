import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import { evaluateLocally, type LocalEvaluation, type ModelKind, recordsIn, writeModel, writeTasks } from "./models.js";

// Who runs a slice, how many agents there are, and how many cores they have, decides no bit of a record.

let folder: Awaited<ReturnType<typeof withTempDir>>;
let tasks: Readonly<Record<ModelKind, string>>;
const models = {} as Record<ModelKind, string>;

beforeAll(async () => {
  folder = await withTempDir();
  tasks = await writeTasks(folder.path);
  for (const kind of ["classifier", "encoder", "decoder"] as const) {
    models[kind] = await writeModel(folder.path, kind, kind);
  }
});
afterAll(() => folder[Symbol.asyncDispose]());

let runs = 0;
/** Records, and how many slices they came in. */
async function run(kind: ModelKind, options: LocalEvaluation) {
  const output = join(folder.path, `out-${++runs}`);
  let slices = 0;
  await evaluateLocally(tasks[kind], [models[kind]], {
    ...options,
    output,
    onEvent: (event) => {
      if (event.type === "dispatch" && event.event.type === "finished") slices += 1;
    },
  });
  return { records: await recordsIn(output), slices };
}

test.each<{ readonly kind: ModelKind; readonly lines: number; readonly ways: readonly LocalEvaluation[] }>([
  { kind: "classifier", lines: 24, ways: [{ agentThreads: 2 }] },
  { kind: "encoder", lines: 24 + 8, ways: [{ agentCount: 2, mode: "process" }] },
  { kind: "decoder", lines: 3 * 24, ways: [{ agentCount: 2 }, { agentCount: 5, agentThreads: 2 }] },
])(
  "the records of a model are the same bytes however many agents run it, on however many cores: $kind",
  async ({ kind, lines, ways }) => {
    const alone = await run(kind, {});
    expect(alone.records.match(/\n/g)).toHaveLength(lines);
    for (const way of ways) {
      const { records, slices } = await run(kind, way);
      expect(records, JSON.stringify(way)).toBe(alone.records);
      // More agents cut the same batches into more slices.
      if ((way.agentCount ?? 1) > 1 && kind === "decoder") expect(slices).toBeGreaterThan(alone.slices);
    }
  },
);
