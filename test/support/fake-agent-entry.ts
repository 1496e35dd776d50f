import { findParent, runEmbedded } from "../../node-agent/embedded.js";

// An agent with fake workers, to be started as a thread or a forked process.

const parent = findParent();
if (parent === undefined) throw new Error("fake-agent-entry.js is started by another process or thread");
await runEmbedded(parent, process.argv.slice(2), new URL("./fake-worker.js", import.meta.url));
