import { mapBounded } from "../checkpoint/bounded.js";
import type { AmalgamError } from "../errors.js";
import type { HttpClient, Reply } from "./http/client.js";
import { follow } from "./http/follow.js";
import { netrcAuthorization } from "./http/netrc.js";
import { type Probe, probeReply } from "./http/probe.js";
import { type Access, readRange } from "./http/read-range.js";
import { withRetries } from "./http/retry.js";
import { assertWorking, changed, refusal } from "./http/status.js";
import { strongETag } from "./http/validators.js";
import { assertNoneMissing, readShardNames } from "./read-whole.js";
import type { RemoteFile, RemoteModel, RemoteStore } from "./remote-store.js";
import { fileUrl, parseRemote, splitFile } from "./url.js";
import { knownWeights, smallNames } from "./wanted-files.js";

/** Names that are asked for at once. */
const concurrency = 8;

/**
 * Any web server that answers range requests. It has no list of a folder's files, so the usual names are asked for, and
 * then the shards that an index names. Credentials come from `~/.netrc`.
 */
export function createHttpsStore(client: HttpClient): RemoteStore {
  const ask = async (
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<Reply> => {
    // Looked up for each request: a new password takes effect in a process that runs for weeks.
    const authorization = await netrcAuthorization(new URL(url).hostname, client.env);
    const { reply } = await follow(client, { method: "GET", url, headers, signal, authorization });
    if (reply.status !== 401 && reply.status !== 407) return reply;
    await reply.discard();
    const problem =
      authorization === undefined
        ? "its server wants a login: write one for its host into ~/.netrc"
        : "its server refuses the login of ~/.netrc";
    throw refusal(url, problem);
  };

  const access: Access = {
    ask: async (file, headers, signal) => {
      const condition = isETag(file.version) ? { "if-match": file.version } : {};
      const reply = await ask(file.url, { ...headers, ...condition }, signal);
      if (![403, 404, 410].includes(reply.status)) return reply;
      await reply.discard();
      throw refusal(file.url, reply.status === 403 ? "its server does not let us have it" : "it is not there any more");
    },
    assertSame: (file, { headers }) => {
      const now = isETag(file.version) ? strongETag(headers) : headers.get("last-modified");
      if (file.version === undefined || now === undefined || now === file.version) return;
      throw changed(file.url, isETag(file.version) ? "ETag" : "date", now, file.version);
    },
  };

  const probe = (url: string, signal: AbortSignal | undefined): Promise<Probe> =>
    withRetries(
      async () => {
        const reply = await ask(url, { range: "bytes=0-0" }, signal);
        await assertWorking(reply);
        return probeReply(url, reply);
      },
      { url, patience: client.patience, signal, isFirst: true },
    );

  const store: RemoteStore = {
    find: async (url, signal) => find(url, { probe, read: store.read }, signal),
    read: (file, range, deliver, signal) => readRange(client, access, file, range, deliver, signal),
    // The client is whoever made it's.
    close: async () => undefined,
  };
  return store;
}

interface Asking extends Pick<RemoteStore, "read"> {
  readonly probe: (url: string, signal: AbortSignal | undefined) => Promise<Probe>;
}

async function find(name: string, asking: Asking, signal: AbortSignal | undefined): Promise<RemoteModel> {
  const { address, problem } = parseRemote(name);
  if (address?.scheme !== "https") throw refusal(name, problem ?? "it is no address of a web server");
  const file = address.url.endsWith(".safetensors") ? splitFile(address) : undefined;
  const folder = file?.folder ?? address.url;
  const names = file === undefined ? [...knownWeights, ...smallNames] : [file.name, ...smallNames];
  const files = new Map<string, RemoteFile>();
  const failures = new Map<string, Extract<Probe, { kind: "absent" }>>();
  const look = async (names: readonly string[]): Promise<void> => {
    const probes = await mapBounded(names, concurrency, (each) => asking.probe(fileUrl(folder, each), signal));
    for (const [i, found] of probes.entries()) {
      const each = names[i] ?? "";
      if (found.kind === "file") files.set(each, found.file);
      else failures.set(each, found);
    }
  };
  await look(names);
  const [index, ...weights] = file === undefined ? knownWeights : [undefined, file.name];
  const indexFile = index && files.get(index);
  if (indexFile !== undefined) {
    const shards = await readShardNames(asking, indexFile, signal);
    await look(shards.filter((shard) => !files.has(shard)));
    const missing = shards.filter((shard) => !files.has(shard));
    assertNoneMissing(address.url, shards, missing);
    // Beside an index it is ignored.
    if (!shards.includes("model.safetensors")) files.delete("model.safetensors");
  } else if (!weights.some((each) => files.has(each))) {
    const first = file === undefined ? "config.json" : file.name;
    throw notFound(address.url, file?.name, failures.get(weights[0] ?? "") ?? failures.get(first));
  }
  return { url: address.url, files };
}

function notFound(
  url: string,
  file: string | undefined,
  failure: Extract<Probe, { kind: "absent" }> | undefined,
): AmalgamError {
  if (failure?.why === "page") {
    return refusal(url, "its server answers with a web page: it wants a login, or the address is another's");
  }
  if (failure?.why === "forbidden") {
    return refusal(url, "its server does not let us have it (403): write a login for its host into ~/.netrc");
  }
  if (file !== undefined) return refusal(url, "there is no such file");
  const looked = knownWeights.join(", ");
  return refusal(url, `there is none of ${looked} in it; name the folder that has them, or one safetensors file`);
}

function isETag(version: string | undefined): version is string {
  return version?.startsWith('"') === true;
}
