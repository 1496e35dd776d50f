import type { Reporter, TestCase } from "vitest/node";

/** Names at the end the tests that passed only when they were tried again: each is a defect, of the test or of what it tests. */
export class FlakyReporter implements Reporter {
  readonly #flaky: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky === true) this.#flaky.push(`${test.module.relativeModuleId} > ${test.fullName}`);
  }

  onTestRunEnd(): void {
    if (this.#flaky.length === 0) return;
    const lines = [`Passed only when tried again (${this.#flaky.length}):`, ...this.#flaky.map((name) => `  ${name}`)];
    process.stdout.write(`\n${lines.join("\n")}\n`);
  }
}
