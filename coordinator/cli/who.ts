import { hostname, userInfo } from "node:os";

/** `ada@workstation`: who is at the keyboard, for those who read it elsewhere. */
export function whoAmI(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number that has no name.
    return String(process.getuid?.() ?? "unknown");
  }
}
