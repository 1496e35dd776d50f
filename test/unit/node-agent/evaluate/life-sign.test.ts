import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { LifeSign } from "../../../../node-agent/evaluate/life-sign.js";

test.runIf(process.platform === "linux")("a process that computes shows life, one that waits does not", async () => {
  const program = 'process.stdout.write("up"); process.stdin.once("data", () => { for (;;); });';
  const child = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "ignore"] });
  try {
    await once(child.stdout, "data");
    const life = new LifeSign(child.pid ?? 0);
    // Whatever it does after its first word is soon done.
    await expect.poll(() => life.hasWorked(), { interval: 200, timeout: 10_000 }).toBe(false);
    child.stdin.write("go");
    await expect.poll(() => life.hasWorked(), { interval: 50, timeout: 10_000 }).toBe(true);
    child.kill("SIGSTOP");
    await expect.poll(() => life.hasWorked(), { interval: 200, timeout: 10_000 }).toBe(false);
  } finally {
    child.kill("SIGKILL");
  }
});
