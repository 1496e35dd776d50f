import { locateFiles } from "../dispatch/locate.js";
import { type Crew, connectCrew, locateTimeoutMs } from "../job/connect-crew.js";
import type { EvaluationJob } from "./job.js";
import type { Subject } from "./subject.js";

/** ONNX Runtime uses all of an agent's cores for one slice. */
const slots = 1;

/** The agents of an evaluation: started here, named by the user, or those of the cluster. */
export function assembleEvaluationCrew(job: EvaluationJob, subjects: readonly Subject[]): Promise<Crew> {
  const { security, signal, provider, agentWords = [], onEvent } = job;
  const sources = subjects.flatMap((subject) => subject.sources);
  return connectCrew(job.agents, {
    ...{ security, signal, slots },
    roots: [...new Set(subjects.flatMap(({ roots }) => roots))],
    words: [...(provider === undefined ? [] : ["--provider", provider]), ...agentWords],
    look: (agent, closing) => locateFiles(agent, sources, { timeoutMs: locateTimeoutMs, signal: closing }),
    onUnfit: (agent, reason) => onEvent?.({ type: "unfit", agent, reason }),
  });
}
