import { createHash } from "node:crypto";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { readSmallFile } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { syncDirectory, writeDurably, writeError } from "../../assemble/durable.js";
import { stagesSuffix } from "../../assemble/find-stagings.js";
import { removeEmpty } from "../../assemble/leftovers.js";
import type { EvaluationEvent } from "../../evaluate/job.js";
import { EvaluationJournal } from "../../evaluate/journal.js";
import type { JobEvent, PlanRun } from "../../job/types.js";
import type { OpenModel } from "../../plan/open-models.js";
import type { MoeConfig } from "../config.js";
import type { PlacedGates, PreparedMoe } from "../plan-moe.js";
import { assertFinite } from "./assert-finite.js";
import { gateRows } from "./gate-rows.js";
import { formatGates, type GateShape, type GatesFile, type GateValues, gatesName, parseGates } from "./gates-file.js";
import type { HiddenQuestions } from "./questions.js";
import { runBase } from "./run-base.js";

export interface GatesRun extends Pick<PlanRun, "output" | "agents" | "security" | "signal" | "onEvent"> {
  /** A folder that may have the gates by now: the output's own, or that of one that is made again. */
  readonly known: string | undefined;
  /** Called before the base is run. Says where its weights are, if not where it was opened. */
  readonly onRun: () => Promise<string | undefined>;
}

/** Agents that only run models. */
const idleWorkers = { count: 1, slotsEach: 1, memoryBytesEach: 64 << 20, early: undefined };

/** What is in a gates file besides its values. */
const maxHeaderBytes = 64 << 10;

/**
 * The gates of a config, in a folder beside the output. Runs the base on the prompts, unless its states are known: two
 * machines may differ in their last bits, so that a job that goes on holds on to what it began with, and whoever makes an
 * output again takes those that it was made with.
 */
export async function placeGates(
  prepared: PreparedMoe,
  run: GatesRun,
): Promise<PlacedGates & { remove(): Promise<void> }> {
  const { config, base, hidden } = prepared;
  if (hidden === undefined) throw new RangeError(`Gate mode ${quote(config.gateMode)} has no hidden states`);
  const { questions, shape } = hidden;
  const key = keyOf(questions, shape, base);
  const folder = folderOf(run.output, key, base);
  const path = join(folder, gatesName);
  let file = await readGates(path, key, shape);
  if (file === undefined) {
    const known = run.known === undefined ? undefined : await readGates(join(run.known, gatesName), key, shape);
    const basePath = known === undefined ? await run.onRun() : undefined;
    try {
      await makeFolder(folder);
      file = known ?? formatGates(await findGates(config, { base, basePath, questions, shape }, folder, run), key);
      await keep(path, file.content);
    } catch (reason) {
      await removeIfEmpty(folder);
      throw reason;
    }
  }
  const { mtimeMs: modifiedMs } = await stat(path);
  const remove = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    await removeIfEmpty(folder);
  };
  return { file, path, modifiedMs, remove };
}

interface Asked {
  readonly base: OpenModel;
  readonly basePath: string | undefined;
  readonly questions: HiddenQuestions;
  readonly shape: GateShape;
}

/** Answers are kept in the folder until there are all of them. */
async function findGates(
  config: MoeConfig,
  { base, basePath: path = base.checkpoint.directory, questions, shape }: Asked,
  folder: string,
  { agents: wanted, security, signal, onEvent }: GatesRun,
): Promise<GateValues> {
  const agents = wanted.kind === "local" ? { ...wanted, ...idleWorkers } : wanted;
  const prompts = questions.sequences.length;
  let doneBefore: number | undefined;
  await using journal = await EvaluationJournal.open(folder);
  const states = await runBase(questions, shape, {
    ...{ config, base: { name: base.name, path, role: "base" }, journal, agents, security, signal, folder },
    onPrompts: (done) => {
      doneBefore ??= done;
      onEvent?.({ type: "prompts", done, doneBefore, prompts });
    },
    onEvent: (event) => {
      const told = event.type === "dispatch" ? retold(event.event) : undefined;
      if (told !== undefined) onEvent?.(told);
    },
  });
  await journal.remove();
  const { layers, hidden } = shape;
  const found = { layers, hidden, states };
  assertFinite(config, questions, found);
  const shared = shape.sharedExperts === 0 ? [] : questions.sharedExperts;
  return { layers, hidden, experts: gateRows(questions.experts, found), sharedExperts: gateRows(shared, found) };
}

/** What people wait for, or have to mend. */
function retold(event: Extract<EvaluationEvent, { type: "dispatch" }>["event"]): JobEvent | undefined {
  if (event.type === "agent" || event.type === "waiting" || event.type === "resumed")
    return { type: "dispatch", event };
  if (event.type !== "failed") return undefined;
  const { agent, error, retryMs } = event;
  return { type: "prompts failed", agent: agent.name, reason: error.message, retryMs };
}

/** Of all that decides the gates but the machine. */
function keyOf(
  { pooling, sequences, ...prompts }: HiddenQuestions,
  shape: GateShape,
  { checkpoint }: OpenModel,
): string {
  const files = checkpoint.files.map(({ name, bytes, headerSha256 }) => [name, bytes, headerSha256]);
  const numbers = [...prompts.experts, ...prompts.sharedExperts].map(({ positive, negative }) => [positive, negative]);
  const all = ["hidden states 1", pooling, sequences, numbers, shape, checkpoint.config, files];
  return createHash("sha256").update(JSON.stringify(all)).digest("hex");
}

/** Files count by their times as well, as for a journal: an edit in place can leave headers as they are. */
function folderOf(output: string, key: string, { modifiedMs }: OpenModel): string {
  const hash = createHash("sha256").update(`${key} ${modifiedMs.join(" ")}`);
  return join(`${resolve(output)}${stagesSuffix}`, "gates", hash.digest("hex").slice(0, 16));
}

/** Undefined where there are none that follow from the key. */
async function readGates(path: string, key: string, shape: GateShape): Promise<GatesFile | undefined> {
  const { layers, hidden, experts, sharedExperts } = shape;
  const maxBytes = maxHeaderBytes + 4 * layers * hidden * (experts + sharedExperts);
  try {
    return parseGates(await readSmallFile(path, { maxBytes, followLinks: false }), key, shape);
  } catch (error) {
    if (error instanceof AmalgamError) return undefined;
    throw error;
  }
}

/** By a rename, so that a file under this name is whole. */
async function keep(path: string, content: Uint8Array): Promise<void> {
  try {
    await writeDurably(`${path}.new`, content);
    await rename(`${path}.new`, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw writeError(error, "write", path);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw writeError(error, "make the folder", path);
  }
}

/** And the folders above it that are ours. Answers in it are for another run. */
async function removeIfEmpty(folder: string): Promise<void> {
  await removeEmpty(folder);
  await removeEmpty(dirname(folder));
  await removeEmpty(dirname(dirname(folder)));
}
