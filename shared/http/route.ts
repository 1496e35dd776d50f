import type { IncomingHttpHeaders } from "node:http";

/** What is asked of a process that serves a page, metrics or its health. */
export interface HttpRequest {
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  /** The whole body, at most 64 KiB; a larger one is refused before it is read. */
  readonly body: () => Promise<Buffer>;
  /** Whoever asks has shown the token that lets them change things. */
  readonly isAuthenticated: boolean;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  /** @default 200 */
  readonly status?: number;
  /** The content type. */
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An iterable is sent part by part, as fast as the other side reads: server-sent events. */
  readonly body: string | Uint8Array | AsyncIterable<string>;
}

/** One path that is served. Paths that nobody serves are 404, other methods 405, an error is a 500 that says nothing. */
export interface Route {
  readonly method: "GET" | "POST";
  /** `"/metrics"`, or with a last `*` whatever begins so: `"/api/jobs/*"`. */
  readonly path: string;
  /** Refused with 401 without the token. POST routes should always be. @default false */
  readonly needsToken?: boolean;
  readonly answer: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
}
