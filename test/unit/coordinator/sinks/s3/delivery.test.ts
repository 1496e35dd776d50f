import { readFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { fileCrc32 } from "../../../../../coordinator/sinks/s3/delivery.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { completeStaging, makePlan } from "../../../../support/plans.js";
import { openStaging } from "../../../../support/staging.js";

test("a file's CRC-32 follows from its header and the receipts of its pieces", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, `${dir.path}/out`, { version: "1" });
  await completeStaging(staging, 100);
  for (const [file, path] of staging.paths.entries()) {
    expect(fileCrc32(plan, staging.parts.pieces, file)).toBe(crc32(await readFile(path)));
  }
});
