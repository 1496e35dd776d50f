import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** Names the machine since it was last started, to all containers on it alike; its host name where there is no /proc. */
export function thisBoot(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return hostname();
  }
}
