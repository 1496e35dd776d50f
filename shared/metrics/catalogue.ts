/** What one metric is. Names end in their unit; labels have few values, which are listed. */
export interface MetricSpec {
  readonly type: "counter" | "gauge" | "histogram";
  /** Who has it. */
  readonly of: readonly ("coordinator" | "agent")[];
  readonly help: string;
  /** By label: what it can say. Never a tensor, a file or free text. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Upper ends of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

const coordinator = ["coordinator"] as const;
const agent = ["agent"] as const;
const both = ["coordinator", "agent"] as const;

/** From a tile of a small model to an hour of a large one. */
const secondsBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600] as const;

const versionLabels = {
  version: "of Amalgam",
  kernels: "of the kernels: what decides the bytes of an output",
  protocol: "a number",
} as const;

const code = "a code of `shared/errors.ts`";
const server = "`hf`, `https`, `s3`";

/**
 * Every metric of our own, in the order in which they are shown. The documentation is made of this table
 * (`docs/metrics.md`), and nothing can be counted that does not stand in it.
 */
export const catalogue = {
  amalgam_coordinator_info: {
    type: "gauge",
    of: coordinator,
    help: "Always 1: what runs",
    labels: versionLabels,
  },
  amalgam_jobs: {
    type: "gauge",
    of: coordinator,
    help: "Jobs on the cluster's record; every coordinator sees all of them",
    labels: { state: "`queued`, `planning`, `running`, `waiting`, `committing`, `done`, `failed`, `canceled`" },
  },
  amalgam_jobs_led: { type: "gauge", of: coordinator, help: "Jobs that this coordinator leads" },
  amalgam_leads_total: {
    type: "counter",
    of: coordinator,
    help: "What became of leads: began, ended with the job, or ended without it (left, elsewhere)",
    labels: { outcome: "`began`, `done`, `failed`, `canceled`, `passed_on`, `left`" },
  },
  amalgam_lease_expired_total: {
    type: "counter",
    of: coordinator,
    help: "Leases taken from a coordinator that had fallen silent",
  },
  amalgam_units: {
    type: "gauge",
    of: coordinator,
    help: "Units of the pass that runs, of all jobs led here",
    labels: { state: "`waiting`, `running`, `done`" },
  },
  amalgam_units_finished_total: { type: "counter", of: coordinator, help: "Units whose result was accepted" },
  amalgam_unit_seconds: {
    type: "histogram",
    of: coordinator,
    help: "How long the accepted attempts at units took, from their start to their last receipt",
    labels: {
      method: "as `amalgam methods` has them",
      dtype: "of the output, as safetensors writes it",
      pass: "`gather`, `write`",
    },
    buckets: secondsBuckets,
  },
  amalgam_bytes_read_total: {
    type: "counter",
    of: coordinator,
    help: "Bytes of inputs that attempts have read, those that failed included",
  },
  amalgam_bytes_written_total: {
    type: "counter",
    of: coordinator,
    help: "Bytes of outputs that attempts have made, those that failed included",
  },
  amalgam_retries_total: {
    type: "counter",
    of: coordinator,
    help: "Attempts that failed, by why",
    labels: { reason: code },
  },
  amalgam_speculative_total: {
    type: "counter",
    of: coordinator,
    help: "Second attempts at stragglers, by whether they were the first to finish",
    labels: { won: "`true`, `false`" },
  },
  amalgam_crc_mismatch_total: {
    type: "counter",
    of: coordinator,
    help: "Attempts, and reads before a commit, whose bytes were not those of their CRC-32",
  },
  amalgam_efficiency_ratio: {
    type: "gauge",
    of: coordinator,
    help: "Of the job committed last: seconds in reads and writes, of the seconds that its slots had",
  },
  amalgam_nats_connected: {
    type: "gauge",
    of: both,
    help: "1 while the NATS server is reached; not told by an agent without a cluster",
  },
  amalgam_nats_disconnects_total: { type: "counter", of: both, help: "Times that the NATS server was lost" },
  amalgam_nats_sync_always: {
    type: "gauge",
    of: coordinator,
    help: "1 if what NATS acknowledges is on its disk, 0 if only later; not told where the setting cannot be seen",
  },
  amalgam_nats_jobs_pending: { type: "gauge", of: coordinator, help: "Jobs in the queue that nobody was given yet" },
  amalgam_nats_jobs_redelivered: {
    type: "gauge",
    of: coordinator,
    help: "Jobs that were given out again, since whoever had them fell silent or gave them back",
  },
  amalgam_disk_free_bytes: {
    type: "gauge",
    of: both,
    help: "Free space where outputs of led jobs are, or the agent's roots",
    labels: { mount: "the mount point; 16 at most" },
  },
  amalgam_disk_size_bytes: {
    type: "gauge",
    of: both,
    help: "All space there",
    labels: { mount: "the mount point; 16 at most" },
  },
  amalgam_agent_info: {
    type: "gauge",
    of: agent,
    help: "Always 1: what runs",
    labels: { ...versionLabels, gpu: "`true` if a provider of evaluation is one of a GPU, `false`" },
  },
  amalgam_agent_slots: { type: "gauge", of: agent, help: "Units that it runs at once" },
  amalgam_agent_running: { type: "gauge", of: agent, help: "Units, slices and trials that run or wait here" },
  amalgam_agent_draining: { type: "gauge", of: agent, help: "1 once it takes no more" },
  amalgam_agent_calls_total: {
    type: "counter",
    of: agent,
    help: "Work that was asked for, by how it ended",
    labels: { call: "`merge`, `factorize`, `evaluate`, `try`", outcome: `\`ok\`, or ${code}` },
  },
  amalgam_agent_call_seconds: {
    type: "histogram",
    of: agent,
    help: "How long work took that ended well, waiting for a slot included",
    labels: { call: "`merge`, `factorize`, `evaluate`, `try`" },
    buckets: secondsBuckets,
  },
  amalgam_agent_bytes_read_total: { type: "counter", of: agent, help: "Bytes of inputs that merges have read" },
  amalgam_agent_bytes_written_total: { type: "counter", of: agent, help: "Bytes of outputs that merges have made" },
  amalgam_agent_io_seconds_total: {
    type: "counter",
    of: agent,
    help: "Seconds that merges spent in reads and writes, added up over slots",
  },
  amalgam_agent_nonfinite_elements_total: {
    type: "counter",
    of: agent,
    help: "Elements of outputs that are infinite or no number",
  },
  amalgam_agent_fenced_total: { type: "counter", of: agent, help: "Leaders that were refused for a later one" },
  amalgam_remote_requests_total: {
    type: "counter",
    of: both,
    help: "Requests to servers that have models",
    labels: { server },
  },
  amalgam_remote_retries_total: {
    type: "counter",
    of: both,
    help: "Requests to them that were made again",
    labels: { server },
  },
  amalgam_remote_bytes_total: { type: "counter", of: both, help: "Bytes that came from them", labels: { server } },
} as const satisfies Readonly<Record<`amalgam_${string}`, MetricSpec>>;

export type MetricName = keyof typeof catalogue;

/** The names of a type. */
export type NameOf<Type extends MetricSpec["type"]> = {
  [Name in MetricName]: (typeof catalogue)[Name]["type"] extends Type ? Name : never;
}[MetricName];

/** The labels of a metric. */
export type LabelOf<Name extends MetricName> = (typeof catalogue)[Name] extends { readonly labels: infer Labels }
  ? Extract<keyof Labels, string>
  : never;
