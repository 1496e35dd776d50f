import { randomUUID } from "node:crypto";
import { formatBytes } from "../../bytes.js";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import type { Bus } from "../bus.js";
import { type AccountInfo, callApi, codes, isCode, publish, type StreamInfo } from "./api.js";
import { Connection } from "./connection.js";
import { maxEventBytes, maxValueBytes, namesOf } from "./layout.js";
import { NatsBus } from "./nats-bus.js";
import { type BusOptions, type Settings, settle } from "./options.js";
import { judgeVersion } from "./versions.js";

/** Something that a NATS server, or the way to it, is or is not fit for. */
export interface Finding {
  readonly level: "ok" | "warning" | "problem";
  readonly what: string;
  readonly why: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** A round trip from which on every operation of a cluster is felt to wait. */
const slowRoundTripMs = 100;
const roundTrips = 5;
/** A value and its headers have to fit into one message. */
const headerBytes = 4 << 10;
/** What all streams together should be able to store: the events, and as much again for jobs. */
const storageBytes = 2 * maxEventBytes;
const memoryBytes = 32 << 20;

/**
 * Looks at the server as a coordinator or agent would use it, and tries every operation on something that nobody else
 * uses. Never fails: what cannot be examined is a finding. Leaves nothing behind but the cluster's empty streams.
 */
export async function examine(options: BusOptions): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    const settings = settle(options);
    await using connection = await Connection.open(settings);
    findings.push(judgeTransport(settings), judgeServer(connection));
    findings.push(await measureRoundTrip(connection));
    const account = await callApi<AccountInfo>(connection, "look for JetStream", "INFO");
    findings.push(...judgeStorage(account), judgePayload(connection), await judgeSync(connection));
    const bus = new NatsBus(connection);
    findings.push(...(await tryOperations(connection, bus)));
    findings.push(await judgeReplicas(connection));
  } catch (error) {
    findings.push({ level: "problem", what: "connection", why: AmalgamError.from(error).message });
  }
  return findings;
}

function judgeTransport({ shownUrl, isEncrypted, hasCredentials }: Settings): Finding {
  const what = "connection";
  const encryption = isEncrypted ? "encrypted" : "not encrypted, on loopback";
  const why = `${quote(shownUrl)}, ${encryption}, ${hasCredentials ? "with" : "without"} credentials`;
  if (hasCredentials) return { level: "ok", what, why };
  return {
    level: "warning",
    what,
    why: `${why}: every program on this machine can change jobs`,
    remedy: 'Give the server users ("authorization") where others work on this machine',
  };
}

function judgeServer({ nats }: Connection): Finding {
  const version = nats.info?.version ?? "unknown";
  const { level, why, remedy } = judgeVersion(version);
  return { level, what: `version ${version}`, why, ...(remedy === undefined ? {} : { remedy }) };
}

async function measureRoundTrip({ nats }: Connection): Promise<Finding> {
  const times: number[] = [];
  for (let index = 0; index < roundTrips; index++) {
    const start = performance.now();
    await nats.flush();
    times.push(performance.now() - start);
  }
  const median = times.sort((a, b) => a - b)[roundTrips >> 1] ?? 0;
  const finding = { what: "round trip", why: `${median.toFixed(1)} ms, the middle one of ${roundTrips}` };
  if (median < slowRoundTripMs) return { level: "ok", ...finding };
  return { level: "warning", ...finding, remedy: "Run nats-server near the coordinators" };
}

function judgeStorage({ storage, memory, limits }: AccountInfo): readonly Finding[] {
  const judge = (what: string, used: number, limit: number, wanted: number): Finding => {
    if (limit < 0) return { level: "ok", what, why: `${formatBytes(used)} in use, no limit` };
    const why = `${formatBytes(used)} of ${formatBytes(limit)} in use`;
    if (limit - used >= wanted) return { level: "ok", what, why };
    const remedy = `Allow this account ${formatBytes(used + wanted)}`;
    return { level: "warning", what, why: `${why}: ${formatBytes(wanted)} should be free`, remedy };
  };
  return [
    judge("file storage", storage, limits.max_storage, storageBytes),
    judge("memory storage", memory, limits.max_memory, memoryBytes),
  ];
}

function judgePayload({ nats }: Connection): Finding {
  const bytes = nats.info?.max_payload ?? 0;
  const what = "largest message";
  if (bytes >= maxValueBytes + headerBytes) return { level: "ok", what, why: formatBytes(bytes) };
  const why = `${formatBytes(bytes)}: recipes of up to ${formatBytes(maxValueBytes)} do not fit`;
  return { level: "problem", what, why, remedy: 'Set "max_payload: 1MB" in the server\'s configuration' };
}

/** Only an account that imports `$SYS.REQ.SERVER.PING.VARZ` sees this setting. */
async function judgeSync(connection: Connection): Promise<Finding> {
  const what = "sync to disk";
  const why =
    "what is acknowledged is on disk only some time later, two minutes by default; a power failure may take jobs that wait, but no finished work, whose record lies beside the output";
  const remedy = 'Set "sync_interval: always" in the server\'s "jetstream" block';
  const seen = await isSyncedAlways(connection);
  if (seen === true) return { level: "ok", what, why: "what is acknowledged is on disk" };
  const start = seen === false ? "" : "the setting cannot be seen from here; unless it is changed, ";
  return { level: "warning", what, why: `${start}${why}`, remedy };
}

async function isSyncedAlways(connection: Connection): Promise<boolean | undefined> {
  try {
    const answer = await connection.request("look for settings", "$SYS.REQ.SERVER.PING.VARZ", "");
    const { data } = answer.json<{ data?: { jetstream?: { config?: { sync_always?: boolean } } } }>();
    return data === undefined ? undefined : data.jetstream?.config?.sync_always === true;
  } catch {
    return undefined;
  }
}

/** Each operation that coordinators and agents need, tried on a key of our own or so that the server has to decline. */
async function tryOperations(connection: Connection, bus: Bus): Promise<readonly Finding[]> {
  const { prefix } = connection.settings;
  const { jobs, events } = namesOf(prefix);
  const key = `doctor.${randomUUID()}`;
  const elsewhere = { "Nats-Expected-Stream": "not-this-one" };
  const declined = async (subject: string): Promise<void> => {
    try {
      await publish(connection, `publish to ${quote(subject)}`, subject, "", elsewhere);
    } catch (error) {
      if (!isCode(error, codes.otherStream)) throw error;
    }
  };
  const steps: readonly (readonly [string, () => Promise<void>])[] = [
    ["create streams", () => bus.restore()],
    ["compare and set", () => compareAndSet(bus, key)],
    ["beat", async () => void (await bus.nodes.put(key, "1"))],
    ["list and watch", async () => void (await bus.nodes.entries("doctor."))],
    ["queue jobs", () => declined(jobs.subject)],
    ["take jobs", () => isServed(connection, `CONSUMER.MSG.NEXT.${jobs.stream}.${jobs.consumer}`)],
    ["tell events", () => declined(`${events.subjects}doctor`)],
    ["delete", () => erase(connection, bus, key)],
  ];
  const findings: Finding[] = [];
  for (const [what, run] of steps) {
    try {
      await run();
      findings.push({ level: "ok", what, why: "done" });
    } catch (error) {
      const { message, details } = AmalgamError.from(error);
      const isForbidden = details["nats"] === "PERMISSIONS_VIOLATION";
      findings.push({ level: "problem", what, why: message, ...(isForbidden ? { remedy: permissions(prefix) } : {}) });
    }
  }
  return findings;
}

function permissions(prefix: string): string {
  const subjects = ["$JS.API.>", "$JS.ACK.>", "$JS.FC.>", `$KV.${prefix}-*.>`, `${prefix}.>`].map(quote).join(", ");
  return `Let this user publish to ${subjects}, and subscribe to "_INBOX.>"`;
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

/** A deleted key leaves a marker; the purge takes that away too. */
async function erase(connection: Connection, { state, nodes }: Bus, key: string): Promise<void> {
  const names = namesOf(connection.settings.prefix);
  await Promise.all([state.delete(key), nodes.delete(key)]);
  for (const { stream, subjects } of [names.state, names.nodes]) {
    await callApi(connection, "delete", `STREAM.PURGE.${stream}`, { filter: `${subjects}${key}` });
  }
}

/** A request that is malformed on purpose is refused by whoever serves it, without any effect. */
async function isServed(connection: Connection, subject: string): Promise<void> {
  await connection.request("take jobs", `$JS.API.${subject}`, "{");
}

async function judgeReplicas(connection: Connection): Promise<Finding> {
  const { stream } = namesOf(connection.settings.prefix).state;
  const { config } = await callApi<StreamInfo>(connection, "look at the streams", `STREAM.INFO.${stream}`);
  const what = "replicas";
  const { cluster } = connection.nats.info ?? {};
  if (cluster === undefined) return { level: "ok", what, why: "one server; while it is away jobs go on, none begin" };
  if (config.num_replicas >= 3)
    return { level: "ok", what, why: `${config.num_replicas} in cluster ${quote(cluster)}` };
  return {
    level: "warning",
    what,
    why: `${config.num_replicas} in cluster ${quote(cluster)}: without that one server no job begins`,
    remedy: `Raise it to 3: nats stream edit ${stream} --replicas 3, and the same for the other streams`,
  };
}
