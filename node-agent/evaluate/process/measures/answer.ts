import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BatchResultSchema } from "../../../../shared/gen/amalgam/v1/agent_pb.js";

/** What a measure says about one batch. */
export type Answer = Pick<
  MessageInitShape<typeof BatchResultSchema>,
  "vectors" | "width" | "logprobs" | "greedy" | "generated"
>;
