import { expect, test } from "vitest";
import { amalgam } from "../../../support/command.js";

test("--help shows every command under its theme", async () => {
  const { code, stdout } = await amalgam("--help");
  expect(code).toBe(0);
  const groups = stdout.split(/^(?=\S.*:$)/m).map((part) => {
    const [heading = "", ...lines] = part.split("\n");
    return [heading, lines.flatMap((line) => /^ {2}([a-z-]+)/.exec(line)?.[1] ?? [])] as const;
  });
  expect(Object.fromEntries(groups)).toMatchObject({
    "Merging:": ["merge", "plan", "moe", "methods"],
    "Checkpoints:": ["verify", "diff", "gc", "download", "reproduce", "sign"],
    "Adapters:": ["extract-lora", "merge-adapters"],
    "Cluster:": [
      ...["agent", "coordinator", "submit", "status", "watch", "cancel", "logs", "nodes", "drain", "doctor", "certs"],
    ],
  });
});

test.each([
  [["submit", "r", "o", "--watch", "--detach"], "option '--watch' cannot be used with option '--detach'"],
  [["submit", "r", "o", "--max-wait", "soon"], 'It is not a time such as "30s", "10m" or "2h".'],
  [["submit", "r", "o", "--assembly", "both"], "Allowed choices are auto, direct, stream."],
  [["coordinator", "--jobs", "0"], "It is not a number from 1 to 1024."],
  [["merge", "--agent", "h:1", "nope.yaml", "o"], 'Cannot read recipe "nope.yaml": it does not exist'],
  [["plan", "."], 'Cannot read recipe ".": it is a folder'],
  [["eval", "m", "models--a--m/snapshots/1", "t.yaml"], 'Two checkpoints would be called "m"'],
  [["eval", "m", "nope.yaml"], 'Cannot read task file "nope.yaml": it does not exist'],
  [["gc"], "missing required argument 'folders'"],
  [["stauts"], "(Did you mean status?)"],
  [["sweep", "--json", "top", "x"], 'Cannot use "--json" before "top": write it behind "top"'],
  [["sweep", "--agents", "2", "resume", "x"], 'Cannot use "--agents" before "resume": write it behind "resume"'],
  [["sweep", "--out", "y", "top", "x"], 'Cannot use "--out" before "top": "top" has no such option'],
  [["merge", "r", "o", "--agent", "h:1", "--slots", "2"], "cannot be used with option '--slots <n>'"],
  [["merge", "r", "o", "--agent", "h:1", "--memory", "1GiB"], "cannot be used with option '--memory <size>'"],
  [["moe", "r", "o", "--agent", "h:1", "--agents", "2"], "cannot be used with option '--agents <n>'"],
  [["merge", "r", "o", "--agent", "h:1", "--agent-processes"], "cannot be used with option '--agent-processes'"],
  [["eval", "m", "t", "--agent", "h:1", "--agents", "2"], "cannot be used with option '--agents <n>'"],
  [["eval", "m", "t", "--nats", "nats://h", "--agents", "2"], "cannot be used with option '--agents <n>'"],
  [["sweep", "s", "--nats", "nats://h", "--agent", "h:1"], "cannot be used with option '--agent <address>'"],
  [["eval", "m", "t", "--markdown", "--json"], "cannot be used with option '--json'"],
  [["eval", "m", "t", "--graph-base", "b"], 'Cannot use "--graph-base" without "--graph"'],
])("amalgam %j is refused with exit code 2", async (argv, reason) => {
  const { code, stdout, stderr } = await amalgam(...argv);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(reason);
});
