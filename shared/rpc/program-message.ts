import { create } from "@bufbuild/protobuf";
import type { Program } from "../expression/program.js";
import { type Program as ProgramMessage, ProgramSchema, Scope as WireScope } from "../gen/amalgam/v1/program_pb.js";
import { wireScopes } from "./program.js";

/** What `programFromProto()` reads. */
export function programToProto(program: Program): ProgramMessage {
  return create(ProgramSchema, {
    nodes: program.nodes.map(({ op, args, value, scope }) => ({
      op,
      args: [...args],
      value,
      scope: scope === undefined ? WireScope.UNSPECIFIED : wireScopes[scope],
    })),
    output: program.output,
    inputs: program.inputs,
    parameters: [...program.parameters],
  });
}
