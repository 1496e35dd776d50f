/** How long a job may wait for agents. A year: whoever means longer waits for ever. */
export const longestWaitMs = 365 * 24 * 3_600_000;
