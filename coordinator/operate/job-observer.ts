import type { ClusterEvent, JobRecord } from "../../shared/cluster/records.js";
import type { JobEvent } from "../job/types.js";

/** Follows a job that is led here, for metrics or traces. It must not fail, and costs little: it hears every event. */
export interface LeadObserver {
  observe(event: JobEvent): void;
  /** W3C trace context to send along with an attempt that was told of as started. */
  traceparentOf?(unit: number, epoch: number): string | undefined;
  /** The lead is over, with this error if with any. Called once, and nothing is observed after it. */
  end(error?: Error): void;
}

/** Follows all that a coordinator leads. */
export interface LeadsObserver {
  begin(record: JobRecord): LeadObserver;
  /** Hears what the cluster is told, before and after leads, too. */
  hear?(event: ClusterEvent): void;
  leaseExpired?(): void;
}

/** Several as one, who hear of no end twice. */
export function observeAll(observers: readonly LeadsObserver[]): LeadsObserver {
  return {
    begin: (record) => {
      const leads = observers.map((observer) => observer.begin(record));
      // A lead that was given up, since its storage hangs, may wake up later.
      let isOver = false;
      return {
        observe: (event) => {
          if (isOver) return;
          for (const lead of leads) lead.observe(event);
        },
        traceparentOf: (unit, epoch) => {
          for (const lead of leads) {
            const found = lead.traceparentOf?.(unit, epoch);
            if (found !== undefined) return found;
          }
          return undefined;
        },
        end: (error) => {
          if (isOver) return;
          isOver = true;
          for (const lead of leads) lead.end(error);
        },
      };
    },
    hear: (event) => {
      for (const observer of observers) observer.hear?.(event);
    },
    leaseExpired: () => {
      for (const observer of observers) observer.leaseExpired?.();
    },
  };
}
