import { readFields, writeFields } from "../mutate/wire.js";

/**
 * Messages in one input, each with the number of what reads it: a message whose fields they are, so that one mutator
 * edits, repeats and exchanges them.
 */
export interface Letter {
  readonly to: number;
  readonly message: Uint8Array;
}

export function pack(...letters: readonly Letter[]): Uint8Array {
  return writeFields(letters.map(({ to, message }) => ({ number: to, kind: "bytes", bytes: message })));
}

/** Undefined: the input is no envelope. */
export function unpack(input: Uint8Array): readonly Letter[] | undefined {
  return readFields(input)?.flatMap((field) => {
    return field.kind === "bytes" ? [{ to: field.number, message: field.bytes }] : [];
  });
}
