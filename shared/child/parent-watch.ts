import { workerData } from "node:worker_threads";

// A thread that ends its process when the parent is gone, however busy the main thread is.

const lookMs = 500;
const parentPid = workerData as number;

setInterval(() => {
  // The children of a process that has ended are given to another.
  if (process.ppid !== parentPid) process.kill(process.pid, "SIGKILL");
}, lookMs);
