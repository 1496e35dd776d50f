import type { AnswerLoss, TaskAnswers } from "./losses/answer-loss.js";
import { type Judgement, judge, type TaskEvidence } from "./objectives.js";
import type { SweepStore } from "./store/store.js";
import type { ScoredTask, Segment, SegmentPart, SweepSpec } from "./types.js";

export interface AppraiseContext {
  readonly spec: Pick<SweepSpec, "objectives" | "constraints">;
  readonly tasks: readonly ScoredTask[];
  readonly store: SweepStore;
  readonly losses: readonly AnswerLoss[];
  /** Answers are on record. */
  readonly answers: boolean;
  /** Segments of a task's expert, which are on record; none where losses compare with no expert. */
  readonly teachers: (task: string, part: SegmentPart) => readonly Segment[];
}

/** What is on record of segments, task by task: those of lower rungs first. */
export async function evidenceOf(
  { tasks, store, answers, teachers }: AppraiseContext,
  segments: readonly Segment[],
): Promise<readonly TaskEvidence[]> {
  return Promise.all(
    tasks.map(async (task) => {
      const own = ordered(segments.filter((segment) => segment.task === task.name));
      const records = (await Promise.all(own.map((segment) => store.records(segment)))).flat();
      if (!answers) return { task, records };
      const answered = await answersOf(store, own);
      const taught = await answersOf(store, teachers(task.name, own.at(-1)?.part ?? 0));
      if (answered === undefined) return { task, records };
      return { task, records, answers: taught === undefined ? answered : { ...answered, teacher: taught.values } };
    }),
  );
}

export async function appraise(
  context: AppraiseContext,
  segments: readonly Segment[],
): Promise<{ readonly evidence: readonly TaskEvidence[]; readonly judgement: Judgement }> {
  const evidence = await evidenceOf(context, segments);
  return { evidence, judgement: judge(context.spec, evidence, context.losses) };
}

async function answersOf(store: SweepStore, segments: readonly Segment[]): Promise<TaskAnswers | undefined> {
  const parts = await Promise.all(ordered(segments).map((segment) => store.answers(segment)));
  return joinAnswers(parts.filter((part) => part !== undefined));
}

function ordered(segments: readonly Segment[]): readonly Segment[] {
  return segments.toSorted((a, b) => Number(a.part) - Number(b.part));
}

/**
 * The answers of several segments as of one. With several rows per example, rows of a kind stay together: the first ones of
 * all examples, then the second ones.
 */
function joinAnswers(parts: readonly TaskAnswers[]): TaskAnswers | undefined {
  const [first] = parts;
  if (first === undefined || parts.length === 1) return first;
  const { width, rowsPerExample = 1 } = first;
  const blocks = Array.from({ length: rowsPerExample }, (_, row) =>
    parts.map(({ values }) => {
      const block = values.length / rowsPerExample;
      return values.subarray(row * block, (row + 1) * block);
    }),
  ).flat();
  const values = new Float32Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  for (const block of blocks) {
    values.set(block, place);
    place += block.length;
  }
  const classes = parts.flatMap((part) => (part.classes === undefined ? [] : [...part.classes]));
  return {
    ...{ values, width },
    ...(first.rowsPerExample === undefined ? {} : { rowsPerExample }),
    ...(first.classes === undefined ? {} : { classes: Int32Array.from(classes) }),
  };
}
