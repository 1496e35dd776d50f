import { stat, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Metrics } from "./metrics.js";
import { patientStorage } from "./patient-storage.js";

/** Mount points that are told of at most. */
const maxMounts = 16;

interface Space {
  readonly mount: string;
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** Tells of the space where `folders` are. Of storage that hangs nothing is told: what it had once may mislead. */
export function tellDiskSpace(
  metrics: Metrics,
  folders: () => readonly string[],
  look: (folder: string) => Promise<Space> = spaceAt,
): void {
  const free = metrics.gauge("amalgam_disk_free_bytes");
  const size = metrics.gauge("amalgam_disk_size_bytes");
  const ask = (folder: string): Promise<Space | undefined> =>
    patientStorage.ask(`space of ${folder}`, () => look(folder)).catch(() => undefined);
  metrics.onScrape(async () => {
    const found = await Promise.all([...new Set(folders())].map(ask));
    const spaces = new Map(found.flatMap((space) => (space === undefined ? [] : [[space.mount, space]])));
    for (const gauge of [free, size]) gauge.reset();
    for (const { mount, freeBytes, sizeBytes } of [...spaces.values()].slice(0, maxMounts)) {
      free.set({ mount }, freeBytes);
      size.set({ mount }, sizeBytes);
    }
  });
}

async function spaceAt(folder: string): Promise<Space> {
  const mount = await mountPointOf(folder);
  const { bavail, blocks, bsize } = await statfs(mount);
  return { mount, freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}

/** The highest folder of the same file system; the nearest that exists stands for a folder that does not. */
export async function mountPointOf(path: string): Promise<string> {
  let [at, device] = [resolve(path), undefined as number | undefined];
  for (;;) {
    const found = await stat(at).catch(() => undefined);
    const parent = dirname(at);
    if (found !== undefined) {
      device ??= found.dev;
      const above = parent === at ? undefined : await stat(parent).catch(() => undefined);
      if (above?.dev !== device) return at;
    }
    if (parent === at) return at;
    at = parent;
  }
}
