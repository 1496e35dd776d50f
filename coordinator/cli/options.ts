import { type Command, InvalidArgumentError, Option } from "commander";
import { parseBytes } from "../../shared/bytes.js";
import { longestWaitMs } from "../../shared/cluster/longest-wait.js";
import { defaultShardBytes } from "../plan/layout.js";
import { parseDuration } from "./duration.js";

// How words of a command line become values, and options that several commands have.

export function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 1024)
    throw new InvalidArgumentError("It is not a number from 1 to 1024.");
  return number;
}

export function rank(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 65_536)
    throw new InvalidArgumentError("It is not a number from 1 to 65536.");
  return number;
}

export function nonNegative(text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !(number >= 0) || number === Number.POSITIVE_INFINITY) {
    throw new InvalidArgumentError("It is not a number from 0 on.");
  }
  return number;
}

/** One more value of an option that may be repeated. */
export function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** Not one option with several words: a file that comes last would be one of them. `without`: what holds then. */
export function repeatable<const Flags extends string>(flags: Flags, what: string, without = "none") {
  return new Option(flags, `${what}; repeatable`).argParser(collect).default([] as readonly string[], without);
}

/** Bytes. */
export function size(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0) throw new InvalidArgumentError('It is not a size such as "512MiB".');
  return bytes;
}

/** How long a job waits for agents, in milliseconds. */
export function wait(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('It is not a time such as "30s", "10m" or "2h".');
  if (ms > longestWaitMs) throw new InvalidArgumentError('It is longer than "365d".');
  return ms;
}

/** How an output is cut: into units of work, and into files. */
export function withSizes(command: Command): Command {
  return command
    .addOption(new Option("--unit-size <size>", "output per unit of work (default: by the job's size)").argParser(size))
    .addOption(
      new Option("--shard-size <size>", "largest output file").argParser(size).default(defaultShardBytes, "5GB"),
    );
}

export function withSign(command: Command): Command {
  return command.option("--sign <key.pem>", "sign the output with this private key before it appears");
}

/** Where the work on an output is staged that goes to a server. */
export function withStaging(command: Command, suffix = ""): Command {
  return command.option("--staging <folder>", `where the work on an output on S3 is staged until it is there${suffix}`);
}

export function withOverwrite(command: Command): Command {
  const what = "replace an output that Amalgam made, and discard unfinished work of another recipe";
  return command.option("--overwrite", what, false);
}
