import { formatBytes } from "../../bytes.js";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { type AccountInfo, callApi, type StreamInfo } from "./api.js";
import { Connection } from "./connection.js";
import type { Finding } from "./finding.js";
import { maxEventBytes, maxValueBytes, namesOf } from "./layout.js";
import { NatsBus } from "./nats-bus.js";
import { tryOperations } from "./operations.js";
import { type BusOptions, type Settings, settle } from "./options.js";
import { judgeVersion } from "./versions.js";

export type { Finding } from "./finding.js";

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
 *
 * @param wanted roles, one of which the user's permissions have to do for. Default: any
 */
export async function examine(options: BusOptions, wanted: readonly string[] = []): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    const settings = settle(options);
    await using connection = await Connection.open(settings);
    findings.push(judgeTransport(settings), judgeServer(connection));
    findings.push(await measureRoundTrip(connection));
    const account = await callApi<AccountInfo>(connection, "look for JetStream", "INFO");
    findings.push(...judgeStorage(account), judgePayload(connection), await judgeSync(connection));
    const bus = new NatsBus(connection);
    findings.push(...(await tryOperations(connection, bus, wanted)));
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
  return { level: "warning", what, why: `${start}${why}`, remedy, ...(seen === undefined && { isUnseen: true }) };
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
