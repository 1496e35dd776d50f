/** What a process that is asked over HTTP allows whoever asks. */
export const httpLimits = {
  /** Of a request's body. */
  bodyBytes: 64 * 1024,
  /** Of a request's headers together. */
  headerBytes: 16 * 1024,
  /** How long headers may take to come, and after them the rest of a request. */
  headersMs: 10_000,
  requestMs: 30_000,
  /** How long a connection is kept for a next request. */
  keepAliveMs: 5_000,
  /** Beyond these a new connection is closed at once. */
  connections: 512,
  /** Answers without an end, as to pages that are left open. Beyond them it is 503. */
  streams: 64,
  /** How long nothing may go either way: the other side reads no answer, or there is nothing to read. */
  stalledMs: 30_000,
} as const;
