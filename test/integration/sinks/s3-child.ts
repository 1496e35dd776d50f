import { type DeliverOptions, deliver } from "../../support/remote/s3-outputs.js";

/** What a child is told, as JSON in its first argument: at which occurrence of which step it kills itself. */
export interface S3ChildTask extends Omit<DeliverOptions, "step" | "signal"> {
  readonly crash: { readonly step: string; readonly occurrence: number };
}

const { crash, ...options } = JSON.parse(process.argv[2] ?? "") as S3ChildTask;
let seen = 0;
await deliver({
  ...options,
  step: (name) => {
    if (name !== crash.step) return;
    seen += 1;
    if (seen === crash.occurrence) process.kill(process.pid, "SIGKILL");
  },
});
