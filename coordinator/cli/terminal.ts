/** What the commands need of the process they run in. */
export interface Terminal {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** The module that local agents are started from. */
  readonly agentEntry: URL;
  /** Runs `amalgam agent` with these words; resolves with the exit code. */
  readonly runAgent: (argv: readonly string[]) => Promise<number>;
}
