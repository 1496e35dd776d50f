import type { Board } from "./board.js";
import type { JobDetails } from "./types.js";

/** What a page shows: of a cluster, or of one merge on this machine. */
export interface PageSource extends AsyncDisposable {
  readonly board: Board;
  /** Undefined: there is no such job. */
  job(id: string): Promise<JobDetails | undefined>;
  /** What can be asked for; undefined where nothing can. */
  readonly actions?: PageActions;
}

/** Each says in words what came of it, and fails with `usage` where it cannot be done. */
export interface PageActions {
  cancel(job: string): Promise<string>;
  drain(node: string): Promise<string>;
}
