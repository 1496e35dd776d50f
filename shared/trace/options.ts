import type { Log } from "../log/log.js";

export interface TracingOptions {
  /** `--traces`. */
  readonly isOn: boolean;
  /** Such as `amalgam-agent`. */
  readonly service: string;
  /** Its name in the cluster. */
  readonly node: string;
  readonly log: Log;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}
