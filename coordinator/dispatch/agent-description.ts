import { AmalgamError } from "../../shared/errors.js";
import type { DescribeResponse } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { kernelsVersion, protocolVersion } from "../../shared/rpc/version.js";

/** What an agent says of itself. */
export interface AgentDescription {
  readonly name: string;
  /** Of its software, for people to read. */
  readonly version: string;
  readonly slots: number;
  readonly memoryBytes: number;
  readonly roots: readonly string[];
  /** Of ONNX Runtime: what it runs models on, best first. Empty: it runs none. */
  readonly providers: readonly string[];
  /** That a model runs on when nobody says otherwise. */
  readonly evalThreads: number;
  /** That trials of sweeps may hold. 0: it runs none. */
  readonly trialMemoryBytes: number;
}

const maxSlots = 1_024;

/** Why an agent must not be used, for it may understand something else or compute another byte; undefined: it may. */
export function unfitBecause({
  version,
  protocol,
  kernels,
}: Pick<DescribeResponse, "version" | "protocol" | "kernels">): string | undefined {
  if (protocol === protocolVersion && kernels === kernelsVersion) return undefined;
  const own = `protocol ${protocolVersion} and kernels ${quote(kernelsVersion)}`;
  return `its version ${quote(version)} has protocol ${protocol} and kernels ${quote(kernels)}, and this one has ${own}`;
}

/** Fails with `usage` if the agent must not be used: it may compute another byte, or its numbers make no sense. */
export function readDescription(address: string, answer: DescribeResponse): AgentDescription {
  const { name, version, slots, memoryBytes, roots, providers, evalThreads, trialMemoryBytes } = answer;
  const refuse = (reason: string): AmalgamError =>
    new AmalgamError("usage", `Cannot use agent ${quote(name)} at ${address}: ${reason}`, { details: { agent: name } });
  const unfit = unfitBecause(answer);
  if (unfit !== undefined) throw refuse(unfit);
  if (slots < 1 || slots > maxSlots) throw refuse(`it offers ${slots} slots, not between 1 and ${maxSlots}`);
  return {
    ...{ name, version, slots, roots, providers, evalThreads },
    memoryBytes: Number(memoryBytes),
    trialMemoryBytes: Number(trialMemoryBytes),
  };
}
