import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { FlakyReporter } from "./support/flaky-reporter.js";

/**
 * Tests of clusters take a minute or two each, in which they mostly wait: spread over those that keep the cores busy, and
 * all begun when two thirds of these are, so that none is left alone at the end. What is short comes last.
 */
class ClustersAmongOthers extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const values = sorted.filter(({ project }) => project.name === "values");
    const integration = sorted.filter((file) => !values.includes(file));
    const clusters = integration.filter(({ moduleId }) => moduleId.includes("/cluster/"));
    const others = integration.filter((file) => !clusters.includes(file));
    const spread = (files: readonly TestSpecification[], share: number) =>
      files.map((file, i) => ({ file, place: (share * i) / files.length }));
    const placed = [...spread(clusters, 2 / 3), ...spread(others, 1)].toSorted((a, b) => a.place - b.place);
    return [...placed.map(({ file }) => file), ...values];
  }
}

/** How often a failed test is tried again. FlakyReporter names those that needed it. */
const retries = Number(process.env["AMALGAM_TEST_RETRIES"] ?? 0);

const integrationFiles = "dist/test/integration/**/*.test.js";

/** Files that look at their own process: at its children, its threads, its sockets, its memory. */
const aloneFiles = ["bus/sockets", "evaluate/agent", "hostile/servers", "node-agent/pool"].map(
  (name) => `dist/test/integration/${name}.test.js`,
);

// Tests run on the compiled JavaScript in dist/: the very files that ship, worker threads included.
export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    // No test asks the real Hub; those that have one of their own say so.
    env: { HF_HUB_OFFLINE: "1" },
    globalSetup: ["dist/test/support/before-all.js"],
    setupFiles: ["dist/test/support/typed-arrays.js"],
    exclude: ["node_modules/**"],
    // A machine may be busy with much else.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    // What is tested is loaded as it ships; only the tests themselves go through Vite.
    server: { deps: { external: [/\/dist\/(?!.*\.test\.js$)/] } },
    // More than there are cores: tests of clusters mostly wait, for leases to run out and pings to go unanswered.
    maxWorkers: 2 * availableParallelism(),
    reporters: retries > 0 ? ["default", "json", new FlakyReporter()] : ["default"],
    sequence: { sequencer: ClustersAmongOthers },
    projects: [
      // Files share a few processes, one after the other, since loading the code takes longer than most of them run. What a
      // file opens it closes, and what it sets it sets back.
      {
        extends: true,
        test: {
          name: "integration",
          retry: retries,
          include: [integrationFiles],
          exclude: ["node_modules/**", ...aloneFiles],
          isolate: false,
        },
      },
      { extends: true, test: { name: "alone", retry: retries, include: aloneFiles } },
      // Values in, values out.
      {
        extends: true,
        test: {
          name: "values",
          retry: retries,
          include: ["dist/test/**/*.test.js"],
          exclude: ["node_modules/**", integrationFiles],
          isolate: false,
        },
      },
    ],
  },
});
