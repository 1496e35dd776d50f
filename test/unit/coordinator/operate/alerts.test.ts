import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { catalogue } from "../../../../shared/metrics/catalogue.js";
import { Metrics } from "../../../../shared/metrics/metrics.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { parseMetrics } from "../../../support/operate/parse-metrics.js";
import { findPromtool } from "../../../support/operate/promtool.js";
import { repositoryPath } from "../../../support/repository.js";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const file = repositoryPath("deploy/prometheus/alerts.yaml");
const { groups } = parse(readFileSync(file, "utf8")) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const { path: promtool, reason = "" } = findPromtool();
const run = promisify(execFile);

test.each(rules)("$alert is over metrics that there are", async ({ expr, labels, annotations }) => {
  const node = parseMetrics(await new Metrics("coordinator").text());
  const names = expr.match(/\b(?:amalgam|nodejs|process)_[a-z0-9_]+(?![a-z0-9_(|])/g) ?? [];
  expect(names.length + (expr.match(/__name__=~"amalgam_\(agent\|coordinator\)_info"/g)?.length ?? 0)).toBeGreaterThan(
    0,
  );
  expect(names.filter((name) => !(name in catalogue) && !node.has(name))).toEqual([]);
  expect(["info", "warning", "critical"]).toContain(labels.severity);
  expect([annotations.summary, annotations.description].every((text) => text.length > 10)).toBe(true);
});

test.each(rules)("$alert compares labels with values that there are", ({ expr }) => {
  for (const [, name = "", label = "", values = ""] of expr.matchAll(/(amalgam_\w+)\{(\w+)=~?"([^"]+)"\}/g)) {
    const { labels } =
      (catalogue as Readonly<Record<string, { readonly labels?: Readonly<Record<string, string>> }>>)[name] ?? {};
    for (const value of values.split("|")) expect(labels?.[label]).toContain(`\`${value}\``);
  }
});

test.skipIf(promtool === undefined)(`Prometheus takes the rules${reason && ` (skipped: ${reason})`}`, async () => {
  const { stdout } = await run(promtool ?? "", ["check", "rules", file]);
  expect(stdout).toContain(`${rules.length} rules found`);
});

/** Time series by the minute, and who is to complain of them after 90 minutes. */
const cases: readonly (readonly [string, Readonly<Record<string, string>>, readonly string[]])[] = [
  [
    "a cluster at work",
    {
      'amalgam_units{instance="c",state="running"}': "2x90",
      'amalgam_units_finished_total{instance="c"}': "0+1x90",
      'amalgam_bytes_read_total{instance="c"}': "0+100x90",
      'amalgam_bytes_written_total{instance="c"}': "0+100x90",
      'amalgam_disk_free_bytes{instance="c",mount="/"}': "50x90",
      'amalgam_disk_size_bytes{instance="c",mount="/"}': "100x90",
      'amalgam_agent_info{instance="a",version="1",kernels="1"}': "1x90",
      'amalgam_coordinator_info{instance="c",version="1",kernels="1"}': "1x90",
      'amalgam_nats_connected{instance="c"}': "1x90",
      'amalgam_crc_mismatch_total{instance="c"}': "0x90",
      'up{instance="a"}': "1x90",
    },
    [],
  ],
  [
    "a job that stands still on a full disk, and an agent that is gone",
    {
      'amalgam_units{instance="c",state="running"}': "2x90",
      'amalgam_units_finished_total{instance="c"}': "0+1x60 60x30",
      'amalgam_bytes_read_total{instance="c"}': "0+100x60 6000x30",
      'amalgam_bytes_written_total{instance="c"}': "0+100x60 6000x30",
      'amalgam_disk_free_bytes{instance="c",mount="/"}': "5x90",
      'amalgam_disk_size_bytes{instance="c",mount="/"}': "100x90",
      'amalgam_agent_info{instance="a",version="1",kernels="1"}': "1x80",
      'up{instance="a"}': "1x80 0x10",
    },
    ["AmalgamNoProgress", "AmalgamDiskLow", "AmalgamDown"],
  ],
  [
    "an upgrade that was forgotten, bytes that change, and NATS away",
    {
      'amalgam_agent_info{instance="a",version="1",kernels="1"}': "1x90",
      'amalgam_agent_info{instance="b",version="2",kernels="1"}': "1x90",
      'amalgam_crc_mismatch_total{instance="c"}': "0x80 1x10",
      'amalgam_nats_connected{instance="c"}': "1x80 0x10",
    },
    ["AmalgamSkewedVersions", "AmalgamCrcMismatch", "AmalgamNatsLost"],
  ],
];

test.skipIf(promtool === undefined).each(cases)("%s: just what is wrong is told", async (_, series, expected) => {
  await using scratch = await withTempDir();
  const test = {
    rule_files: [file],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: rules.map(({ alert }) => ({ eval_time: "90m", alertname: alert, exp_alerts: [] })),
      },
    ],
  };
  const path = join(scratch.path, "test.yaml");
  await writeFile(path, JSON.stringify(test));
  // Every alert is expected not to fire: what promtool complains of is what does.
  const { stdout, stderr } = await run(promtool ?? "", ["test", "rules", path]).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  const fired = [...`${stdout}${stderr}`.matchAll(/alertname: ?(\w+)/g)].map(([, name]) => name);
  expect([...new Set(fired)].sort()).toEqual([...expected].sort());
});
