import { join } from "node:path";

/**
 * What lies beside an output while it is being made. Only `files` becomes the output, by one rename, so the journal and
 * the lock stay in place through it and there is no moment at which a crash could lose them.
 */
export interface StagingPaths {
  /** `<output>.amalgam-partial` */
  readonly root: string;
  readonly lock: string;
  readonly journal: string;
  /** The directory that becomes the output. */
  readonly files: string;
  /** The output that is being replaced, from when it is moved aside until the new one is in place. */
  readonly replaced: string;
}

export function stagingPaths(output: string): StagingPaths {
  const root = `${output}.amalgam-partial`;
  return {
    root,
    lock: join(root, "lock"),
    journal: join(root, "journal.jsonl"),
    files: join(root, "output"),
    replaced: join(root, "replaced"),
  };
}

/** Whether an entry of the staging directory is one of ours. */
export function isStagingEntry(name: string): boolean {
  return ["journal.jsonl", "output", "replaced"].includes(name) || name.startsWith("lock");
}
