import { AmalgamError } from "../../shared/errors.js";
import type { HttpAnswer, HttpRequest, Route } from "../../shared/http/route.js";
import { pageAssets } from "./assets.js";
import type { PageSource } from "./source.js";
import { snapshotOf, streamOf } from "./stream.js";
import type { SweepShelf } from "./sweeps/shelf.js";

export interface PageRoutesOptions {
  /** Undefined: no sweeps are shown. */
  readonly sweeps?: Pick<SweepShelf, "report"> | undefined;
}

/**
 * The status page at `/`, and what it is made of, for scripts, too:
 *
 * - `GET /api/state`: a `Snapshot`, see types.ts: jobs, units, nodes, events and sweeps by their names.
 * - `GET /api/events`: the same as server-sent events: `snapshot`, then `changes` (the parts that are new, null for what is
 *   gone) at most twice a second, and `beat` every five seconds in which nothing changes.
 * - `GET /api/jobs/ID`: `JobDetails`: the recipe, the plan in numbers, the reason of a failure in full, and its events.
 * - `GET /sweeps/NAME`: the report of a sweep, made of what is on record.
 * - `POST /api/jobs/ID/cancel`, `POST /api/nodes/NAME/drain`: what `amalgam cancel` and `amalgam drain` ask for; with the
 *   token only.
 *
 * IDs and names are percent-encoded. Answers are JSON; an error is `{"error": "..."}`.
 */
export function pageRoutes(source: PageSource, { sweeps }: PageRoutesOptions = {}): readonly Route[] {
  const { board, actions } = source;
  const assets = pageAssets().map(({ path, type, text }): Route => {
    return { method: "GET", path, answer: () => ({ type, body: text }) };
  });
  const api: Route[] = [
    {
      method: "GET",
      path: "/api/state",
      answer: ({ isAuthenticated }) => jsonText(snapshotOf(board, new Date().toISOString(), isAuthenticated)),
    },
    {
      method: "GET",
      path: "/api/events",
      answer: ({ isAuthenticated, signal }) => {
        return { type: "text/event-stream", body: streamOf(board, { isAuthenticated, signal }) };
      },
    },
    {
      method: "GET",
      path: "/api/jobs/*",
      answer: async ({ url }) => {
        const [id, what] = namesIn(url, "/api/jobs/");
        if (id === undefined || what !== undefined) return failed(404, "There is no such job");
        return await answering(async () => {
          const details = await source.job(id);
          return details === undefined ? failed(404, "There is no such job") : json(details);
        });
      },
    },
  ];
  const act = (path: string, word: string, act: (name: string) => Promise<string>): Route => ({
    method: "POST",
    path: `${path}*`,
    needsToken: true,
    answer: async ({ url }) => {
      const [name, what] = namesIn(url, path);
      if (name === undefined || what !== word) return failed(404, "That cannot be done here");
      return await answering(async () => json({ done: await act(name) }));
    },
  });
  const acting =
    actions === undefined
      ? []
      : [
          act("/api/jobs/", "cancel", (job) => actions.cancel(job)),
          act("/api/nodes/", "drain", (node) => actions.drain(node)),
        ];
  const reports: Route[] =
    sweeps === undefined ? [] : [{ method: "GET", path: "/sweeps/*", answer: (request) => reportOf(sweeps, request) }];
  return [...assets, ...api, ...acting, ...reports];
}

async function reportOf(sweeps: Pick<SweepShelf, "report">, { url }: HttpRequest): Promise<HttpAnswer> {
  const [name = ""] = namesIn(url, "/sweeps/");
  const report = await sweeps.report(name);
  if (report === undefined) return { status: 404, type: "text/plain; charset=utf-8", body: "There is no such sweep\n" };
  return { type: "text/html; charset=utf-8", headers: reportHeaders(report.toString("utf8", 0, 4_096)), body: report };
}

/**
 * A report has its scripts inside, and a policy that knows them by their digests. It shows what models and data said, so it
 * is an origin of its own besides: were there ever a script of somebody else's in it, the visitor's cookie would not be its.
 */
function reportHeaders(begin: string): Readonly<Record<string, string>> {
  const own = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(begin)?.[1] ?? "default-src 'none'";
  const others = "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox allow-scripts";
  return {
    "content-security-policy": `${own.replaceAll("&#39;", "'")}; ${others}`,
    // Browsers refuse to open what is in a sandbox and wants a group of windows of its own.
    "cross-origin-opener-policy": "unsafe-none",
  };
}

/** What follows in a path, decoded: `/api/jobs/a%2Fb/cancel` has `a/b` and `cancel`. Empty where it is no such thing. */
function namesIn({ pathname }: URL, prefix: string): readonly string[] {
  try {
    return pathname.slice(prefix.length).split("/").map(decodeURIComponent);
  } catch {
    return [];
  }
}

async function answering(act: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
  try {
    return await act();
  } catch (reason) {
    const { code, message } = AmalgamError.from(reason);
    if (code === "usage") return failed(409, message);
    if (code === "bus_failed") return failed(503, message);
    throw reason;
  }
}

function json(value: unknown): HttpAnswer {
  return jsonText(JSON.stringify(value));
}

function jsonText(body: string): HttpAnswer {
  return { type: "application/json; charset=utf-8", body };
}

function failed(status: number, error: string): HttpAnswer {
  return { ...json({ error }), status };
}
