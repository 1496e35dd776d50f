import { AmalgamError } from "../../shared/errors.js";
import { NotHere } from "../assemble/not-here.js";
import type { Plan } from "../plan/types.js";

/**
 * Plans a job that an earlier leader may have planned as `digest`. What was planned there and fails or differs here is no
 * fault of the job: `NotHere`. Before anything is written, for where the sources' file system is not mounted, the
 * output's is likely to be missing too.
 */
export async function planAgain(plan: () => Promise<Plan>, digest: string | undefined): Promise<Plan> {
  if (digest === undefined) return plan();
  const again = await plan().catch((reason: unknown) => {
    throw asNotHere(reason);
  });
  if (again.digest === digest) return again;
  throw new NotHere(
    `the plan is ${again.digest.slice(0, 8)} and was ${digest.slice(0, 8)} where the job began, so that the sources differ`,
  );
}

/** A failure at what went well where the job began; an end of the lead stays what it is. */
export function asNotHere(reason: unknown): AmalgamError {
  const known = AmalgamError.from(reason);
  const isEnd = known.code === "canceled" || known.code === "fenced" || known.code === "bus_failed";
  return isEnd ? known : new NotHere(`what went well where the job began fails: ${known.message}`, reason);
}
