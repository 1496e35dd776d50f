import { serve } from "../../../node-agent/serve.js";
import { parseAgentArguments } from "../../../node-agent/settings.js";

// `amalgam agent` with workers that break on demand, see faulty-worker.ts.

const command = parseAgentArguments(process.argv.slice(3));
if (command === undefined) throw new Error("faulty-agent.js is started like amalgam agent");
const agent = { ...command.agent, worker: new URL("./faulty-worker.js", import.meta.url) };
const never = new AbortController().signal;
await serve({ ...command, agent }, { drain: never, now: never }, console);
