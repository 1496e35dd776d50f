import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { repositoryPath } from "../support/repository.js";

/**
 * The inputs that are kept of a target: one a line, as a JSON string whose characters are the bytes, so that those of
 * text can be read; or after "base64 " what would be longer so.
 */
export function readCorpus(target: string): readonly Uint8Array[] {
  const file = fileOf(target);
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map(parseInput);
}

/** In a fixed order: the shortest first. */
export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  const lines = inputs.map(formatInput).toSorted((one, two) => one.length - two.length || (one < two ? -1 : 1));
  writeFileSync(fileOf(target), `${[...new Set(lines)].join("\n")}\n`);
}

/** An input as a line of the corpus. */
export function formatInput(input: Uint8Array): string {
  const bytes = Buffer.from(input);
  const text = JSON.stringify(bytes.toString("latin1")).replaceAll(/[\u007f-\u00ff]/g, escapeByte);
  const base64 = prefix + bytes.toString("base64");
  return text.length <= base64.length ? text : base64;
}

const prefix = "base64 ";

function parseInput(line: string): Uint8Array {
  if (line.startsWith(prefix)) return Buffer.from(line.slice(prefix.length), "base64");
  return Buffer.from(JSON.parse(line) as string, "latin1");
}

function escapeByte(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function fileOf(target: string): string {
  return repositoryPath("test/fuzz/corpus", `${target}.jsonl`);
}
