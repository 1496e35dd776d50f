import type { Checkpoint } from "../checkpoint/open.js";
import { AmalgamError } from "../errors.js";
import { formatCount, quote } from "../quote.js";
import { suggest } from "../suggest.js";

/** Why a weight of a graph does not come from a checkpoint. */
export interface Problem {
  /** The graph's name for the weight. */
  readonly name: string;
  readonly problem: string;
  /** The tensor that was looked for in vain. */
  readonly missing?: string;
}

/** A graph and a checkpoint that are strangers disagree on every weight; nobody reads past the first few. */
const maxListed = 20;
/** Comparing a name with more than so many others takes seconds. */
const maxCompared = 2000;

/** One `checkpoint_mismatch` for all weights that do not fit. */
export function mismatch(checkpoint: Checkpoint, problems: readonly Problem[], weights: number): AmalgamError {
  const { directory } = checkpoint;
  const count = `${formatCount(problems.length)} of ${formatCount(weights)} weights do not fit`;
  const lines = problems.slice(0, maxListed).map(({ name, problem, missing }) => {
    const near = missing === undefined ? undefined : nearName(missing, checkpoint);
    return `  ${quote(name)}: ${problem}${near === undefined ? "" : `, did you mean ${quote(near)}`}`;
  });
  if (problems.length > maxListed) lines.push(`  and ${formatCount(problems.length - maxListed)} more`);
  const message = `Cannot bind checkpoint ${quote(directory)} to the graph, ${count}:\n${lines.join("\n")}`;
  return new AmalgamError("checkpoint_mismatch", message, { details: { checkpoint: directory } });
}

/** The tensor that was probably meant: with or without a prefix, or with a slip in the name. */
function nearName(missing: string, { tensors }: Checkpoint): string | undefined {
  const names = [...tensors.keys()];
  const prefixed = names.find((name) => name.endsWith(`.${missing}`) || missing.endsWith(`.${name}`));
  return prefixed ?? suggest(missing, names.slice(0, maxCompared));
}
