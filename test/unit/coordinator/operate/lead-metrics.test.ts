import { expect, test } from "vitest";
import type { JobEvent } from "../../../../coordinator/job/types.js";
import { observeAll } from "../../../../coordinator/operate/job-observer.js";
import { LeadMetrics } from "../../../../coordinator/operate/lead-metrics.js";
import type { ClusterEvent } from "../../../../shared/cluster/records.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { Metrics } from "../../../../shared/metrics/metrics.js";
import { attemptEvents, jobRecordOf, planOf } from "../../../support/operate/lead-events.js";
import { parseMetrics } from "../../../support/operate/parse-metrics.js";

interface Stage {
  readonly send: (event: JobEvent) => void;
  readonly hear: (type: string, fields?: ClusterEvent["fields"]) => void;
  readonly end: () => void;
  readonly pass: (seconds: number) => void;
  /** The metric's samples as `name{labels}`, without zeros. */
  readonly told: (name: string) => Promise<Readonly<Record<string, number>>>;
}

function stage(): Stage {
  const metrics = new Metrics("coordinator");
  let now = 0;
  const leads = observeAll([new LeadMetrics(metrics, () => now)]);
  const lead = leads.begin(jobRecordOf("job-1"));
  lead.observe({ type: "planned", plan: planOf("ties", ["BF16", "F32"]) });
  return {
    send: (event) => lead.observe(event),
    hear: (type, fields) => {
      const event = { at: "", level: "info", node: "c1", type, message: "", ...(fields && { fields }) } as const;
      leads.hear?.(event);
    },
    end: () => lead.end(),
    pass: (seconds) => {
      now += seconds * 1000;
    },
    told: async (name) => {
      const samples = parseMetrics(await metrics.text()).get(name)?.samples ?? [];
      return Object.fromEntries(
        samples
          .filter(({ value }) => value !== 0)
          .map(({ name: shown, labels, value }) => [`${shown}${Object.values(labels).join(",")}`, value]),
      );
    },
  };
}

test("units wait, run and are done, until the lead is over", async () => {
  const { send, told, end } = stage();
  send({ type: "writing", units: 5, work: 0 });
  for (const unit of [0, 1, 2]) send(attemptEvents.started(unit, 1));
  send(attemptEvents.finished(0, 1));
  expect(await told("amalgam_units")).toEqual({
    amalgam_unitsrunning: 2,
    amalgam_unitsdone: 1,
    amalgam_unitswaiting: 2,
  });
  end();
  expect(await told("amalgam_units")).toEqual({});
  // One that was given up, since its storage hung, may wake up: it is led elsewhere by then.
  send(attemptEvents.finished(1, 1));
  end();
  expect(await told("amalgam_units_finished_total")).toEqual({ amalgam_units_finished_total: 1 });
});

test("seconds are of accepted attempts, by method, dtype and pass", async () => {
  const { send, told, pass } = stage();
  send({ type: "gathering", pass: 0, units: 1, work: 0 });
  send(attemptEvents.started(0, 1));
  pass(3);
  send(attemptEvents.finished(0, 1));
  send({ type: "writing", units: 2, work: 0 });
  for (const unit of [0, 1]) send(attemptEvents.started(unit, 1));
  pass(40);
  for (const unit of [0, 1]) send(attemptEvents.finished(unit, 1));
  const seconds = await told("amalgam_unit_seconds");
  expect(seconds["amalgam_unit_seconds_sumties,BF16,gather"]).toBe(3);
  expect(seconds["amalgam_unit_seconds_sumties,BF16,write"]).toBe(40);
  expect(seconds["amalgam_unit_seconds_sumties,F32,write"]).toBe(40);
  expect(seconds["amalgam_unit_seconds_bucket5,ties,BF16,gather"]).toBe(1);
  expect(await told("amalgam_units_finished_total")).toEqual({ amalgam_units_finished_total: 3 });
});

test("bytes are counted as they come, those of failed attempts included", async () => {
  const { send, told } = stage();
  send({ type: "writing", units: 1, work: 0 });
  send(attemptEvents.started(0, 1));
  send(attemptEvents.progress(0, 1, 100, 10));
  send(attemptEvents.progress(0, 1, 250, 20));
  send(attemptEvents.failed(0, 1, new AmalgamError("agent_lost", "gone")));
  send(attemptEvents.started(0, 2));
  send(attemptEvents.progress(0, 2, 300, 30));
  expect(await told("amalgam_bytes_read_total")).toEqual({ amalgam_bytes_read_total: 550 });
  expect(await told("amalgam_bytes_written_total")).toEqual({ amalgam_bytes_written_total: 50 });
});

test("failures are told by their reason, and bytes that changed by themselves", async () => {
  const { send, told } = stage();
  send({ type: "writing", units: 2, work: 0 });
  for (const [unit, code] of [
    [0, "chunk_corrupt"],
    [1, "stalled"],
  ] as const) {
    send(attemptEvents.started(unit, 1));
    send(attemptEvents.failed(unit, 1, new AmalgamError(code, code)));
  }
  const retries = { amalgam_retries_totalchunk_corrupt: 1, amalgam_retries_totalstalled: 1 };
  expect(await told("amalgam_retries_total")).toEqual(retries);
  expect(await told("amalgam_crc_mismatch_total")).toEqual({ amalgam_crc_mismatch_total: 1 });
});

test.each([
  [2, "true"],
  [1, "false"],
])("of two attempts at once the %d. is faster: the second has won is %s", async (winner, won) => {
  const { send, told } = stage();
  send({ type: "writing", units: 1, work: 0 });
  for (const epoch of [1, 2]) send(attemptEvents.started(0, epoch));
  send(attemptEvents.finished(0, winner));
  send(attemptEvents.superseded(0, 3 - winner));
  expect(await told("amalgam_speculative_total")).toEqual({ [`amalgam_speculative_total${won}`]: 1 });
  expect(await told("amalgam_units_finished_total")).toEqual({ amalgam_units_finished_total: 1 });
});

test("a first attempt after a failure is no second one at once", async () => {
  const { send, told } = stage();
  send({ type: "writing", units: 1, work: 0 });
  send(attemptEvents.started(0, 1));
  send(attemptEvents.failed(0, 1, new AmalgamError("stalled", "")));
  send(attemptEvents.started(0, 2));
  send(attemptEvents.finished(0, 2));
  expect(await told("amalgam_speculative_total")).toEqual({});
});

test("what becomes of leads is told, and how well the last job used its slots", async () => {
  const { hear, told } = stage();
  for (const type of ["leading", "planned", "job done", "leading", "left"]) hear(type);
  hear("committed", { efficiency: 0.75, bytes: 3 });
  const outcomes = { amalgam_leads_totalbegan: 2, amalgam_leads_totaldone: 1, amalgam_leads_totalleft: 1 };
  expect(await told("amalgam_leads_total")).toEqual(outcomes);
  expect(await told("amalgam_efficiency_ratio")).toEqual({ amalgam_efficiency_ratio: 0.75 });
});
