import { dirname } from "node:path";
import { locateFiles } from "../../dispatch/locate.js";
import { commonGround } from "../../evaluate/common-ground.js";
import type { ModelAgents } from "../../evaluate/model-agents.js";
import { RowCache } from "../../evaluate/prepare-context.js";
import { type Crew, connectCrew, locateTimeoutMs } from "../../job/connect-crew.js";
import { Keeper } from "../../job/keeper.js";
import type { PlannedSource } from "../../plan/types.js";
import { startPoint } from "../space.js";
import type { ScoredTask, SweepSpec, TrialRunner } from "../types.js";
import { HeldBytes } from "./blobs.js";
import { type PreparedModel, PreparedModels } from "./prepared-model.js";
import { type PlannedWeights, RecipePlanner } from "./recipe-planner.js";
import type { RunnerEvent } from "./runner-event.js";
import { readTaskParts, type TaskParts } from "./task-parts.js";
import { Trials } from "./trials.js";

/** `signal` ends all trials. */
export interface RunnerOptions extends ModelAgents {
  readonly onEvent?: (event: RunnerEvent) => void;
}

/** One trial is merged while another one is evaluated. */
const slots = 2;

/**
 * Starts or finds agents, and prepares the tasks for the recipe at its start point: what is wrong with recipe, models,
 * tasks or data is an error here, before a byte of weights moves.
 */
export async function openTrialRunner(spec: SweepSpec, options: RunnerOptions): Promise<TrialRunner> {
  const [trials, keeper] = await Keeper.with((keeper) => open(spec, options, keeper));
  return {
    tasks: trials.tasks,
    threads: trials.threads,
    get agents() {
      return trials.agents;
    },
    plan: (text) => trials.plan(text),
    run: (...asked) => trials.run(...asked),
    tap: (...asked) => trials.tap(...asked),
    [Symbol.asyncDispose]: () => keeper[Symbol.asyncDispose](),
  };
}

async function open(spec: SweepSpec, options: RunnerOptions, keeper: Keeper): Promise<Trials> {
  const { agents: wanted, onEvent } = options;
  const rows = new RowCache();
  const planner = new RecipePlanner(spec.template.file, spec.template.otherPath);
  const start = await planner.plan(spec.template.render(startPoint(spec.space)));
  const tasks = await readTaskParts(spec, rows);
  options.signal?.throwIfAborted();
  const sources = await sourcesOf(spec, planner, start);
  const crew = keeper.keep(await assemble(options, sources));
  const ground = commonGround(options, wanted.kind === "local" ? undefined : crew);
  const closing = new AbortController();
  const signal = AbortSignal.any([closing.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const held = new HeldBytes();
  const prepared = keeper.keep(new PreparedModels({ tasks, rows, held, signal, target: ground.target }));
  const first = await prepared.of(start.plan);
  return keeper.keep(
    new Trials({
      ...{ planner, prepared, sources, closing, signal, threads: ground.threads },
      agents: crew.agents,
      tasks: tasks.map((task) => scoredTask(task, first)),
      waitForAgentsMs: wanted.kind === "cluster" ? wanted.maxWaitMs : 0,
      retry: wanted.kind === "cluster" ? { losses: 10 } : {},
      onEvent: (event) => onEvent?.(event),
    }),
  );
}

/** The files of all models that a trial may read. A model that cannot be planned by itself is no reason to stop. */
async function sourcesOf(
  { template }: SweepSpec,
  planner: RecipePlanner,
  start: PlannedWeights,
): Promise<readonly PlannedSource[]> {
  const references = await Promise.allSettled(
    template.models.map(async ({ name }) => planner.plan(template.renderReference(name))),
  );
  const plans = [start, ...references.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))];
  return [...new Map(plans.flatMap(({ plan }) => plan.sources.map((source) => [source.path, source]))).values()];
}

function assemble(options: RunnerOptions, sources: readonly PlannedSource[]): Promise<Crew> {
  const { agents, security, signal, provider, agentWords = [], onEvent } = options;
  const neighbours = agents.kind === "local" ? ["--agents-here", String(agents.count)] : [];
  const files = sources.map(({ path, bytes, modifiedMs }) => ({ path, bytes: BigInt(bytes), modifiedMs }));
  return connectCrew(agents, {
    ...{ security, signal, slots },
    roots: [...new Set(sources.map(({ path }) => dirname(path)))],
    words: [...(provider === undefined ? [] : ["--provider", provider]), ...neighbours, ...agentWords],
    look: (agent, closing) => locateFiles(agent, files, { timeoutMs: locateTimeoutMs, signal: closing }),
    onUnfit: (agent, reason) => onEvent?.({ type: "unfit", agent, reason }),
  });
}

function scoredTask({ task, parts }: TaskParts, model: PreparedModel): ScoredTask {
  const prepared = model.parts.find(({ rows }) => rows.task === task)?.prepared;
  const sizes = parts.filter(({ part }) => part !== "held out").map(({ rows }) => rows.length);
  const heldOut = parts.find(({ part }) => part === "held out")?.rows.length ?? 0;
  return {
    ...{ name: task.name, kind: task.kind, heldOut },
    metric: task.metric ?? prepared?.metrics[0]?.name ?? "",
    metricSettings: prepared?.metricSettings ?? {},
    rungs: sizes.map((_, rung) => sizes.slice(0, rung + 1).reduce((total, size) => total + size, 0)),
  };
}
