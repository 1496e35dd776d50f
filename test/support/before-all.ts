import { readFile } from "node:fs/promises";
import type { TestProject } from "vitest/node";
import { natsBinaries } from "./nats-server.js";
import { whyNoS3 } from "./remote/s3-binary.js";

/** Runs once before all test files: fetches what several of them would otherwise fetch at the same time. */
export async function setup(project: TestProject): Promise<void> {
  for (const { binary, reason } of natsBinaries()) {
    if (reason !== undefined) process.stderr.write(`Tests on nats-server (${binary}) are skipped: ${reason}\n`);
  }
  // Built in a minute, which tests of something else need not wait for.
  const reason = (await isAnySelected(project, "/s3-binary.js")) ? whyNoS3() : undefined;
  if (reason !== undefined) process.stderr.write(`Tests on a server of S3 are skipped: ${reason}\n`);
}

/** Whether a test file that is about to run imports a module. */
async function isAnySelected(project: TestProject, module: string): Promise<boolean> {
  // The words of the command line; Vitest tells them in no other way. Without them it is all files.
  const { filenamePattern } = project.vitest as { readonly filenamePattern?: string[] };
  const { testFiles } = await project.globTestFiles(filenamePattern);
  const texts = await Promise.all(testFiles.map((path) => readFile(path, "utf8")));
  return texts.some((text) => text.includes(module));
}
