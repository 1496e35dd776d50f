/** What the commands need of the process they run in. */
export interface Terminal {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** The module that local agents are started from. */
  readonly agentEntry: URL;
  /**
   * Start local agents before it is known whether they will be needed, since one is likely to come out sooner.
   * @default false
   */
  readonly startsEarly?: boolean;
  /** Runs `amalgam agent` with these words; resolves with the exit code. */
  readonly runAgent: (argv: readonly string[]) => Promise<number>;
}
