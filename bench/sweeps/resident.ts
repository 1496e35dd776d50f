import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** What a program's processes hold, at most so far. Files in memory are counted once, as files, not in who maps them. */
export interface Peak {
  processBytes: number;
  fileBytes: number;
  /** Of both at one time. */
  bytes: number;
}

const pollMs = 20;

/** Watches a process, its children, and the files below a folder, until it is disposed of. */
export function watchMemory(pid: number, folder: string): { readonly peak: Readonly<Peak> } & Disposable {
  const peak: Peak = { processBytes: 0, fileBytes: 0, bytes: 0 };
  const look = (): void => {
    const [processBytes, fileBytes] = [residentBytes(pid), bytesBelow(folder)];
    peak.processBytes = Math.max(peak.processBytes, processBytes);
    peak.fileBytes = Math.max(peak.fileBytes, fileBytes);
    peak.bytes = Math.max(peak.bytes, processBytes + fileBytes);
  };
  look();
  const timer = setInterval(look, pollMs);
  return { peak, [Symbol.dispose]: () => clearInterval(timer) };
}

function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const of = (name: string): number =>
      1024 * Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1] ?? 0);
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean),
    );
    return children.reduce((total, child) => total + residentBytes(Number(child)), of("RssAnon") + of("RssFile"));
  } catch {
    return 0;
  }
}

/** Blocks that are there: a file in memory may have holes. */
function bytesBelow(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" }).reduce((total, name) => {
      const status = statSync(join(folder, name), { throwIfNoEntry: false });
      return total + (status?.isFile() === true ? 512 * status.blocks : 0);
    }, 0);
  } catch {
    return 0;
  }
}
