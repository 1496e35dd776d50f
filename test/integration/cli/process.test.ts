import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startAmalgam, withoutProgress, withWorkplace } from "../../support/command.js";
import { repositoryPath } from "../../support/repository.js";
import { smallRecipes, writeSmallModels } from "../../support/small-models.js";

// The binary itself: options, exit codes, and what goes to which stream.

const work = withWorkplace();
let recipe = "";
beforeAll(async () => {
  const { path, write } = await work;
  await writeSmallModels(path);
  recipe = await write("ties.yaml", smallRecipes.ties);
});
afterAll(async () => (await work)[Symbol.asyncDispose]());

/** Exit code and both streams of a command. */
async function run(...argv: readonly string[]) {
  await using command = startAmalgam(argv);
  const { code, stdout, stderr } = await command.ended;
  return { code, stdout, stderr };
}

test("--help and --version go to stdout", async () => {
  const [help, version] = await Promise.all([run("--help"), run("--version")]);
  expect([help.code, help.stderr]).toEqual([0, ""]);
  expect(help.stdout).toMatch(/^Usage: amalgam \[options\] \[command\]\n/);
  for (const name of ["merge", "plan", "methods", "verify", "diff", "agent"])
    expect(help.stdout).toContain(`\n  ${name} `);
  const { version: own } = JSON.parse(readFileSync(repositoryPath("package.json"), "utf8")) as { version: string };
  expect(version).toEqual({ code: 0, stdout: `${own}\n`, stderr: "" });
});

test.each([
  [["merge", "--jsn", "a", "b"], "error: unknown option '--jsn'\n(Did you mean --json?)\n"],
  [["marge"], "error: unknown command 'marge'\n(Did you mean merge?)\n"],
  [["merge", "a"], "error: missing required argument 'output'\n"],
  [["merge", "a", "b", "c"], "error: too many arguments for 'merge'. Expected 2 arguments but got 3.\n"],
  [
    ["merge", "a", "b", "--agents", "none"],
    "error: option '--agents <n>' argument 'none' is invalid. It is not a number from 1 to 1024.\n",
  ],
  [
    ["merge", "a", "b", "--memory", "lots"],
    "error: option '--memory <size>' argument 'lots' is invalid. It is not a size such as \"512MiB\".\n",
  ],
  [["agent"], 'Cannot start an agent without a root: give "--root DIR"\n'],
  [
    ["agent", "--root", "/", "--host", "0.0.0.0"],
    'Cannot listen on "0.0.0.0": connections are neither encrypted nor authenticated, so only loopback addresses such as "127.0.0.1" are allowed; anything else takes --tls-ca, --tls-cert and --tls-key, which "amalgam certs" makes\n',
  ],
])("amalgam %j is refused with exit code 2", async (argv, stderr) => {
  expect(await run(...argv)).toEqual({ code: 2, stdout: "", stderr });
});

test("an agent's address has to be one of this machine, and is asked before anything is written", async () => {
  const { at, path } = await work;
  const { code, stderr } = await run("merge", recipe, at("remote"), "--agent", "10.0.0.1:4000");
  expect(code).toBe(2);
  expect(stderr).toContain('Cannot connect to "10.0.0.1": connections are neither encrypted nor authenticated');
  expect(stderr).not.toContain(path);
});

test("a merge in a pipe writes plain lines: the story to stderr, the result to stdout", async () => {
  const { at } = await work;
  const { code, stdout, stderr } = await run("merge", recipe, at("piped"));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\S+piped: model\.safetensors, 240 B, in [\d.]+ s \(.*\)\n$/);
  expect(withoutProgress(stderr)).toBe("ties of 2 models and a base, 2 tensors\n1 unit on local-1\n");
  expect((stdout + stderr).replaceAll("\n", "")).not.toMatch(/\p{C}/u);
});

test("a merge with --json writes one event per line and nothing else", async () => {
  const { at } = await work;
  const { code, stdout, stderr } = await run("merge", recipe, at("events"), "--json", "--assembly", "stream");
  expect([code, stderr]).toEqual([0, ""]);
  const events = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string });
  expect(events.map(({ event }) => event).filter((event) => event !== "progress")).toEqual([
    "planned",
    "started",
    "writing",
    "unit started",
    "unit finished",
    "committing",
    "done",
  ]);
});

test("a merge whose reader goes away finishes all the same", async () => {
  const { at } = await work;
  await using command = startAmalgam(["merge", recipe, at("unread"), "--json"]);
  await command.event("planned");
  command.child.stdout?.destroy();
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([0, ""]);
  expect((await run("verify", at("unread"))).code).toBe(0);
});
