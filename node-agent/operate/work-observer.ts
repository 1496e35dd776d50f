import type { AmalgamError } from "../../shared/errors.js";
import type { WorkEvent } from "../responses.js";

/** Work that coordinators ask for. */
export type WorkCall = "merge" | "factorize" | "evaluate" | "try";

export interface WorkDescription {
  readonly call: WorkCall;
  readonly job?: string | undefined;
  readonly unit?: number | undefined;
  readonly attempt?: number | undefined;
  /** W3C trace context of whoever asked. */
  readonly traceparent?: string | undefined;
}

/** Follows one piece of work, for metrics or traces. It must not fail, and costs little: it hears every event. */
export interface WorkWatch {
  /** It has left the queue. */
  started(): void;
  observe(event: WorkEvent): void;
  ended(error?: AmalgamError): void;
}

export interface WorkObserver {
  begin(work: WorkDescription): WorkWatch;
}

/** Several as one. */
export function observeWorkBy(observers: readonly WorkObserver[]): WorkObserver {
  return {
    begin: (work) => {
      const watches = observers.map((observer) => observer.begin(work));
      return {
        started: () => {
          for (const watch of watches) watch.started();
        },
        observe: (event) => {
          for (const watch of watches) watch.observe(event);
        },
        ended: (error) => {
          for (const watch of watches) watch.ended(error);
        },
      };
    },
  };
}
