/** What happens to the agents of a sweep while trials run, for people and logs. */
export type RunnerEvent =
  | { readonly type: "agent"; readonly agent: string; readonly state: string }
  | { readonly type: "unfit"; readonly agent: string; readonly reason: string }
  /** Nothing runs, and nothing can before other agents come. */
  | { readonly type: "waiting"; readonly reason: string }
  | { readonly type: "resumed" }
  | { readonly type: "fallback"; readonly agent: string; readonly provider: string; readonly reason: string }
  /** An attempt at a trial failed and is made again. */
  | { readonly type: "retry"; readonly trial: string; readonly agent: string; readonly reason: string }
  | { readonly type: "note"; readonly message: string };
