import { settle } from "../../shared/bus/nats/options.js";
import { runCoordinator } from "../cluster/run-coordinator.js";
import { type ClusterOptions, securityOf } from "./cluster-options.js";
import { interruptible } from "./interrupt.js";
import type { Terminal } from "./terminal.js";

export interface CoordinatorOptions extends ClusterOptions {
  readonly name?: string | undefined;
  readonly jobs: number;
  readonly keepJournals?: string | undefined;
  readonly assemblers?: number | undefined;
}

/** `amalgam coordinator`: leads jobs until SIGTERM or Ctrl-C, hands them over then and leaves. */
export async function coordinator(options: CoordinatorOptions, { stdout, stderr }: Terminal): Promise<number> {
  const { nats, name, jobs: maxJobs, keepJournals, assemblers, json } = options;
  const security = securityOf(options);
  const { shownUrl } = settle({ url: nats, security, name: "amalgam coordinator" });
  await interruptible((signal) =>
    runCoordinator({
      ...{ nats, name, maxJobs, keepJournals, assemblers, security, signal },
      log: (line) => stderr.write(`${line}\n`),
      onReady: (joined) => {
        const event = { event: "joined", node: joined, nats: shownUrl };
        const told = `Coordinator ${joined} joined the cluster at ${shownUrl}`;
        stdout.write(json ? `${JSON.stringify(event)}\n` : `${told}\n`);
      },
    }),
  );
  return 0;
}
