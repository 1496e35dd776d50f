import type { ErrorCode } from "../../shared/errors.js";

const goesOn = "the same submit goes on where it was";

/** What somebody can do about a job that failed, beside what the error itself says. */
const remedies: Readonly<Record<ErrorCode, string>> = {
  recipe_invalid: "Change the recipe where it says, and submit it again",
  usage: "Submit it again with other options",
  checkpoint_malformed: "Replace the file that is named; amalgam verify checks a checkpoint",
  checkpoint_mismatch: "Choose models that fit one another, or change the recipe",
  checkpoint_changed: "Leave the inputs as they are while they are merged, and submit it again",
  path_refused: "Start the agents with a --root that the path is below, or name another path",
  source_refused: "Look whether the name is right, and whether the coordinator's token may read it",
  unauthorized: "Give the node the certificate of its role",
  output_refused: "Choose another output, or submit it with --overwrite",
  out_of_memory: `Give agents more with --memory or fewer --slots; ${goesOn}`,
  out_of_space: `Make room where the output is written; ${goesOn}`,
  io_failed: `Look after the disk or mount that is named; ${goesOn}`,
  source_failed: `Look whether the server is well; ${goesOn}`,
  chunk_corrupt: `Look after the memory, network or disk of the node that is named; ${goesOn}`,
  agent_lost: `Start agents, or look at the logs of those that were lost; ${goesOn}`,
  agent_draining: `Start other agents; ${goesOn}`,
  stalled: `Look at the node that is named, and at the storage that it reads; ${goesOn}`,
  inputs_missing: "Submit it again",
  bus_failed: `Look whether NATS is well (amalgam doctor); ${goesOn}`,
  fenced: "Another coordinator leads the job: nothing is to be done",
  canceled: `It was canceled: ${goesOn}`,
  internal: `A bug of Amalgam: please report it with the logs of the coordinator; ${goesOn}`,
};

/** Undefined for a code of another version. */
export function adviceFor(code: string | undefined): string | undefined {
  return code !== undefined && Object.hasOwn(remedies, code) ? remedies[code as ErrorCode] : undefined;
}
