import type { MessageInitShape } from "@bufbuild/protobuf";
import { AmalgamError } from "../../shared/errors.js";
import {
  FileState,
  type LeadershipSchema,
  type ProbeSchema,
  type SourceFileSchema,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { Plan } from "../plan/types.js";
import type { Agent } from "./agents.js";
import { type RequestBuilderOptions, sourceMessage } from "./request.js";

/** What an agent sees of one job's files. */
export interface Located {
  /** The agent's address. */
  readonly agent: string;
  /** Whether it reads the file of {@link Plan.sources} where it is, and the file is the planned one. */
  has(source: number): boolean;
  /** Whether it sees the folder of the output and can write there. */
  readonly sharesOutput: boolean;
}

export interface LocateFilesOptions {
  readonly leadership?: MessageInitShape<typeof LeadershipSchema>;
  /** A file beside the staged output, and what is in it. Without one no agent shares the output. */
  readonly probe?: MessageInitShape<typeof ProbeSchema>;
  /** For each call. @default 30 s */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface LocateOptions extends LocateFilesOptions, Pick<RequestBuilderOptions, "placeOf"> {}

const defaultTimeoutMs = 30_000;

/** Files in one call: an answer within seconds, also from a network file system. */
const filesPerCall = 10_000;

/** Asks an agent which of a plan's source files it has. Fails with what the call fails with. */
export function locateSources(
  agent: Pick<Agent, "client" | "address">,
  plan: Plan,
  options: LocateOptions = {},
): Promise<Located> {
  const files = plan.sources.map((_, source) => sourceMessage(plan, source, options));
  return locateFiles(agent, files, options);
}

/** Asks an agent which of some files it has, by their place in the list. Fails with what the call fails with. */
export async function locateFiles(
  agent: Pick<Agent, "client" | "address">,
  files: readonly MessageInitShape<typeof SourceFileSchema>[],
  options: LocateFilesOptions = {},
): Promise<Located> {
  const { leadership, probe, timeoutMs = defaultTimeoutMs, signal } = options;
  const states: FileState[] = [];
  let sharesOutput = false;
  // The first call also asks for the probe, and is made without files, too.
  do {
    const first = states.length;
    const asked = files.slice(first, first + filesPerCall);
    const answer = await agent.client.locate(
      { files: asked, ...(leadership && { leadership }), ...(first === 0 && probe && { probe }) },
      { timeoutMs, ...(signal && { signal }) },
    );
    if (answer.files.length !== asked.length) {
      throw new AmalgamError(
        "chunk_corrupt",
        `Agent ${agent.address} was asked for ${asked.length} files and answered for ${answer.files.length}`,
      );
    }
    states.push(...answer.files);
    if (first === 0) sharesOutput = answer.sharesOutput;
  } while (states.length < files.length);
  return { agent: agent.address, has: (source) => states[source] === FileState.PRESENT, sharesOutput };
}
