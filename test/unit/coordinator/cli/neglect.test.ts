import { expect, test } from "vitest";
import { neglectOf } from "../../../../coordinator/cli/neglect.js";
import type { JobRecord } from "../../../../shared/cluster/records.js";
import { jobOf, nodeOf } from "../../../support/cluster-records.js";

const alive = (...names: readonly string[]) =>
  names.map((name) => ({ record: nodeOf(name, { role: name.startsWith("c") ? "coordinator" : "agent" }) }));
const led: Partial<JobRecord> = { state: "running", leader: "c1", starts: 1 };

test.each<[what: string, job: Partial<JobRecord>, nodes: readonly string[], reason: string | undefined]>([
  ["queued, with agents alone", {}, ["a1"], "No coordinator is alive: the job waits for one"],
  ["queued, with a coordinator", {}, ["c1"], "All coordinators lead other jobs: the job waits for one"],
  ["queued again", { ...led, state: "queued" }, [], "No coordinator is alive: the job waits for one"],
  ["led", led, ["c1"], undefined],
  ["led by one that is silent", led, ["a1", "c2"], "Coordinator c1 is silent: another one takes over"],
  ["led by the only one", led, ["a1"], "Coordinator c1 is silent: there is no other one to take over"],
  ["over", { ...led, state: "done" }, [], undefined],
])("neglectOf() a job that is %s", (_, job, nodes, reason) => {
  expect(neglectOf(jobOf("a", job), alive(...nodes))?.reason).toBe(reason);
});

test("neglectOf() a job whose leader was started anew: whoever has its name does not lead", () => {
  const [job, nodes] = [jobOf("a", led), alive("c1")];
  expect(neglectOf(job, nodes, "c1-1")).toBeUndefined();
  expect(neglectOf(job, nodes, "c1-0")).toEqual({
    reason: "Coordinator c1 was started anew: the job waits to be taken up again",
    hasCoordinator: true,
  });
});
