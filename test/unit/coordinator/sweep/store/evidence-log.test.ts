import { expect, test } from "vitest";
import { EvidenceLog } from "../../../../../coordinator/sweep/store/evidence-log.js";
import { withTempDir } from "../../../../support/checkpoints.js";

test("answers that could not be read again are not written", async () => {
  await using folder = await withTempDir();
  const segment = { task: "a", part: 0, examples: 4096, key: "a0" };
  {
    await using log = await EvidenceLog.open(folder.path);
    const answers = { values: new Float32Array(4096 * 24_576), width: 24_576 };
    await expect(log.add(segment, 1, [], answers)).rejects.toThrow(
      /^Cannot keep 4,096 answers of 24,576 numbers to task "a": they take 537 MB, more than the limit of 268 MB; set "limit"/,
    );
  }
  await using again = await EvidenceLog.open(folder.path);
  expect(again.runFor(segment)).toBeUndefined();
});
