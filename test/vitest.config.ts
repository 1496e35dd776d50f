import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// Tests run on the compiled JavaScript in dist/: the very files that ship, worker threads included.
export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["dist/test/**/*.test.js"],
    globalSetup: ["dist/test/support/before-all.js"],
    exclude: ["node_modules/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    // More than there are cores: tests of clusters mostly wait, for leases to run out and pings to go unanswered.
    maxWorkers: Math.ceil(1.5 * availableParallelism()),
  },
});
