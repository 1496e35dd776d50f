import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { catalogue, type MetricSpec } from "../../../../shared/metrics/catalogue.js";
import { mountPointOf, tellDiskSpace } from "../../../../shared/metrics/disk-space.js";
import { metricsTable } from "../../../../shared/metrics/document.js";
import { Metrics } from "../../../../shared/metrics/metrics.js";
import { parseMetrics } from "../../../support/operate/parse-metrics.js";
import { repositoryPath } from "../../../support/repository.js";

const specs = Object.entries(catalogue) as readonly [string, MetricSpec][];

test("the documentation has just the metrics that there are", () => {
  const page = readFileSync(repositoryPath("docs/metrics.md"), "utf8");
  // Made anew: what this expects is the table to put there.
  expect(page).toContain(metricsTable());
  const named = new Set(page.match(/\bamalgam_[a-z_]*[a-z]\b/g));
  expect([...named].filter((name) => !(name in catalogue))).toEqual([]);
});

test.each(specs)("%s is named and labelled by the rules", (name, { type, labels = {}, buckets }) => {
  expect(name).toMatch(/^amalgam_[a-z]+(_[a-z]+)*$/);
  expect(name.endsWith("_total")).toBe(type === "counter");
  if (type === "histogram") expect([name.endsWith("_seconds"), buckets?.length]).toEqual([true, 13]);
  // What has no end of values is no label.
  for (const label of Object.keys(labels)) expect(label).not.toMatch(/tensor|file|path|job|unit$|model|url|message/);
});

test.each(["coordinator", "agent"] as const)("what a %s tells is what Prometheus reads", async (role) => {
  const metrics = new Metrics(role);
  const families = parseMetrics(await metrics.text());
  const ours = specs.filter(([, spec]) => spec.of.includes(role));
  for (const [name, { type, help }] of ours) expect(families.get(name)).toMatchObject({ type, help });
  expect(families.has("nodejs_eventloop_lag_seconds")).toBe(true);
  const others = specs.filter(([, spec]) => !spec.of.includes(role)).map(([name]) => name);
  expect(others.filter((name) => families.has(name))).toEqual([]);
});

test("a label may say anything, and is read as it was", async () => {
  const metrics = new Metrics("coordinator");
  const reason = 'a "quoted"\nline\\';
  metrics.counter("amalgam_retries_total").inc({ reason }, 3);
  const [sample] = parseMetrics(await metrics.text()).get("amalgam_retries_total")?.samples ?? [];
  expect(sample).toEqual({ name: "amalgam_retries_total", labels: { reason: 'a \\"quoted\\"\\nline\\\\' }, value: 3 });
});

test("what is looked up and fails, or hangs, holds up nothing else", async () => {
  const metrics = new Metrics("agent");
  let asked = 0;
  metrics.onScrape(() => Promise.reject(new Error("NATS is away")));
  metrics.onScrape(() => {
    asked += 1;
    return new Promise<void>(() => undefined);
  });
  metrics.onScrape(() => metrics.gauge("amalgam_agent_running").set(7));
  for (let scrape = 0; scrape < 2; scrape += 1) {
    const families = parseMetrics(await metrics.text());
    expect(families.get("amalgam_agent_running")?.samples[0]?.value).toBe(7);
  }
  expect(asked).toBe(1);
});

test("free space is told once for each file system, and not of folders that are gone", async () => {
  const metrics = new Metrics("agent");
  let folders: readonly string[] = [tmpdir(), join(tmpdir(), "not", "there"), tmpdir()];
  tellDiskSpace(metrics, () => folders);
  const mounts = async () => {
    const samples = parseMetrics(await metrics.text()).get("amalgam_disk_free_bytes")?.samples ?? [];
    return samples.map(({ labels, value }) => [labels["mount"], value > 0]);
  };
  expect(await mounts()).toEqual([[await mountPointOf(tmpdir()), true]]);
  folders = [];
  expect(await mounts()).toEqual([]);
});
