import { randomUUID } from "node:crypto";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import type { Bus } from "../bus.js";
import { callApi, codes, isCode, publish } from "./api.js";
import type { Connection } from "./connection.js";
import type { Finding } from "./finding.js";
import { namesOf } from "./layout.js";

/** Who needs an operation, as in `deploy/nats/permissions.conf`. */
type Part = "agent" | "coordinator" | "operator" | "viewer";
const parts: readonly Part[] = ["coordinator", "agent", "operator", "viewer"];

interface Step {
  readonly what: string;
  readonly neededBy: readonly Part[];
  readonly run: () => Promise<unknown>;
}

/**
 * Each operation of a cluster, tried on a key of our own or so that the server has to decline; and for which roles this user's
 * permissions do. What it may not do is a problem where no role is left, or not the one that is `wanted`.
 */
export async function tryOperations(
  connection: Connection,
  bus: Bus,
  wanted: readonly string[],
): Promise<readonly Finding[]> {
  const key = `doctor.${randomUUID()}`;
  const findings: Finding[] = [];
  const forbidden: Step[] = [];
  for (const step of stepsOf(connection, bus, key)) {
    const { what } = step;
    try {
      await step.run();
      findings.push({ level: "ok", what, why: "done" });
    } catch (error) {
      const why = AmalgamError.from(error).message;
      if (isForbidden(error)) forbidden.push(step);
      findings.push({ level: isForbidden(error) ? "warning" : "problem", what, why });
    }
  }
  return [...findings, await tidy(connection, bus, key), judgePermissions(connection, forbidden, wanted)];
}

function stepsOf(connection: Connection, bus: Bus, key: string): readonly Step[] {
  const { jobs, events } = namesOf(connection.settings.prefix);
  const declined = async (subject: string): Promise<void> => {
    try {
      const elsewhere = { "Nats-Expected-Stream": "not-this-one" };
      await publish(connection, `publish to ${quote(subject)}`, subject, "", elsewhere);
    } catch (error) {
      if (!isCode(error, codes.otherStream)) throw error;
    }
  };
  const next = `CONSUMER.MSG.NEXT.${jobs.stream}.${jobs.consumer}`;
  return [
    { what: "create streams", neededBy: ["coordinator"], run: () => bus.restore() },
    { what: "compare and set", neededBy: ["coordinator", "operator"], run: () => compareAndSet(bus, key) },
    { what: "beat", neededBy: ["coordinator", "agent"], run: () => bus.nodes.put(key, "1") },
    {
      what: "list and watch",
      neededBy: ["coordinator", "operator", "viewer"],
      run: () => bus.nodes.entries("doctor."),
    },
    { what: "queue jobs", neededBy: ["coordinator", "operator"], run: () => declined(jobs.subject) },
    { what: "take jobs", neededBy: ["coordinator"], run: () => isServed(connection, next) },
    { what: "tell events", neededBy: ["coordinator", "agent"], run: () => declined(`${events.subjects}doctor`) },
  ];
}

function judgePermissions({ settings }: Connection, forbidden: readonly Step[], wanted: readonly string[]): Finding {
  const what = "permissions";
  if (forbidden.length === 0) return { level: "ok", what, why: "this user may do all that a coordinator does" };
  const possible = parts.filter((part) => forbidden.every(({ neededBy }) => !neededBy.includes(part)));
  const not = `may not ${forbidden.map((step) => quote(step.what)).join(", ")}`;
  const why =
    possible.length === 0
      ? `this user ${not}, which is too little for any role`
      : `this user may do what ${possible.map((part) => `an ${part}`.replace(/^an (?=[cv])/, "a ")).join(" and ")} does, and ${not}`;
  const isEnough = wanted.length === 0 ? possible.length > 0 : wanted.some((part) => possible.includes(part as Part));
  return { level: isEnough ? "ok" : "problem", what, why, ...(isEnough ? {} : { remedy: remedyFor(settings.prefix) }) };
}

function remedyFor(prefix: string): string {
  const subjects = ["$JS.API.>", "$JS.ACK.>", "$JS.FC.>", `$KV.${prefix}-*.>`, `${prefix}.>`].map(quote).join(", ");
  return `Give each role what deploy/nats/permissions.conf has for it; or let this user publish to ${subjects}, and subscribe to "_INBOX.>"`;
}

function isForbidden(error: unknown): boolean {
  return isCode(error, "PERMISSIONS_VIOLATION");
}

/** Two who want the same key, and one with an old revision: just what leads to one leader per job. */
async function compareAndSet({ state }: Bus, key: string): Promise<void> {
  const created = await Promise.all([state.create(key, "a"), state.create(key, "b")]);
  const [revision, ...others] = created.filter((found) => found !== undefined);
  const next = revision === undefined ? undefined : await state.update(key, "c", revision);
  const stale = revision === undefined ? undefined : await state.update(key, "d", revision);
  if (others.length === 0 && next !== undefined && stale === undefined && (await state.get(key))?.value === "c") return;
  throw new AmalgamError(
    "bus_failed",
    "Two writers of one key both succeeded, or none did: jobs could have two leaders",
  );
}

/** A deleted key leaves a marker, which a purge takes away, for whom purging is permitted. */
async function tidy(connection: Connection, { state, nodes }: Bus, key: string): Promise<Finding> {
  const names = namesOf(connection.settings.prefix);
  const steps = [() => state.delete(key), () => nodes.delete(key)].concat(
    [names.state, names.nodes].map(({ stream, subjects }) => async () => {
      await callApi(connection, "delete", `STREAM.PURGE.${stream}`, { filter: `${subjects}${key}` });
    }),
  );
  const what = "delete";
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      if (!isForbidden(error)) return { level: "problem", what, why: AmalgamError.from(error).message };
    }
  }
  return { level: "ok", what, why: "done" };
}

/** A request that is malformed on purpose is refused by whoever serves it, without any effect. */
async function isServed(connection: Connection, subject: string): Promise<void> {
  await connection.request("take jobs", `$JS.API.${subject}`, "{");
}
