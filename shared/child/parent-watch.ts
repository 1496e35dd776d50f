import { workerData } from "node:worker_threads";

// A thread beside the one that runs models. That one hears of the agent's end only when native code returns, which may
// take a large batch minutes, and a driver that hangs for ever; until then the memory would be gone.

const lookMs = 1_000;

setInterval(() => {
  if (process.ppid !== workerData) process.kill(process.pid, "SIGKILL");
}, lookMs);
