import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { program } from "../../../coordinator/cli/run.js";
import type { Terminal } from "../../../coordinator/cli/terminal.js";
import { parseAgentArguments } from "../../../node-agent/settings.js";
import { deployedCommands, deployFolder } from "../../support/deploy.js";

/** The options that no command takes. */
function unknownOptions(words: readonly string[]): readonly string[] {
  const nowhere = { write: () => true };
  const terminal = { stdout: nowhere, stderr: nowhere } as unknown as Terminal;
  const [name = "", ...rest] = words;
  const command = program(terminal, async () => undefined).commands.find((known) => known.name() === name);
  if (command === undefined) return [name];
  return command.exitOverride().parseOptions(rest).unknown;
}

/** Fails for an option that the agent does not have. */
function agentOf(words: readonly string[]) {
  return parseAgentArguments(words, { AMALGAM_NATS: "tls://nats:4222" })?.agent;
}

describe("every command line in deploy/ is one that this version takes", () => {
  const commands = deployedCommands();

  test("there are some", () => {
    expect(commands.length).toBeGreaterThan(12);
  });

  test.each(commands.map(({ where, words }) => [where, words] as const))("%s", (_, words) => {
    if (words[0] === "agent") expect(agentOf(words.slice(1))?.roots).not.toEqual([]);
    else expect(unknownOptions(words)).toEqual([]);
  });

  test("a misspelt option would be found", () => {
    expect(unknownOptions(["coordinator", "--nam", "x"])).toContain("--nam");
  });

  test("the script for Slurm uses commands and options that there are", () => {
    const script = readFileSync(join(deployFolder, "slurm/amalgam.sbatch"), "utf8");
    const lines = script.split("\n").filter((line) => /^[^#]*\bamalgam (coordinator|submit|doctor)\b/.test(line));
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      const words = /\bamalgam ((?:coordinator|submit|doctor)[^>&]*)/.exec(line)?.[1]?.trim().split(/\s+/) ?? [];
      expect(unknownOptions(words)).toEqual([]);
    }
    const agent = /options=\((.*)\)/.exec(script)?.[1]?.replaceAll('"', "").replace("$agent_port", "7070");
    expect(agentOf(agent?.split(" ") ?? [])?.roots).not.toEqual([]);
    const certs = /certificates=\((.*)\)/.exec(script)?.[1]?.split(" ") ?? [];
    expect(unknownOptions(certs)).toEqual([]);
  });
});
