import { expect, test } from "vitest";
import { tellDiskSpace } from "../../../../shared/metrics/disk-space.js";
import { Metrics } from "../../../../shared/metrics/metrics.js";
import { PatientStorage } from "../../../../shared/metrics/patient-storage.js";
import { parseMetrics } from "../../../support/operate/parse-metrics.js";

test("storage that hangs holds no more than two threads, and is not asked the same again", async () => {
  const storage = new PatientStorage();
  const asked: string[] = [];
  const answers = new Map<string, () => void>();
  const ask = (name: string): Promise<string | undefined> =>
    storage.ask(name, () => {
      asked.push(name);
      return new Promise((resolve) => answers.set(name, () => resolve(name)));
    });
  const first = ["a", "b", "c", "a"].map(ask);
  expect(await Promise.all(first)).toEqual([undefined, undefined, undefined, undefined]);
  expect(asked).toEqual(["a", "b"]);
  const waiting = ask("c");
  answers.get("a")?.();
  await expect.poll(() => asked).toEqual(["a", "b", "c"]);
  answers.get("c")?.();
  expect(await waiting).toBe("c");
});

test("what storage fails with is an answer, and makes room", async () => {
  const storage = new PatientStorage();
  for (const name of ["a", "b", "c"]) {
    await expect(storage.ask(name, () => Promise.reject(new Error(name)))).rejects.toThrow(name);
  }
});

test("beside storage that hangs, space is told anew at each scrape", async () => {
  const metrics = new Metrics("agent");
  let freeBytes = 1;
  tellDiskSpace(
    metrics,
    () => ["hangs", "works"],
    (mount) => (mount === "hangs" ? new Promise(() => undefined) : Promise.resolve({ mount, freeBytes, sizeBytes: 9 })),
  );
  for (freeBytes = 1; freeBytes < 3; freeBytes += 1) {
    const { samples } = parseMetrics(await metrics.text()).get("amalgam_disk_free_bytes") ?? {};
    expect(samples?.map(({ labels, value }) => [labels["mount"], value])).toEqual([["works", freeBytes]]);
  }
});
