import type { HttpClient, Reply } from "../http/client.js";
import { follow } from "../http/follow.js";
import { readRange } from "../http/read-range.js";
import { withRetries } from "../http/retry.js";
import { assertWorking, readBody, refusal } from "../http/status.js";
import type { HubAddress } from "../hub-address.js";
import { assertNoneMissing, readShardNames } from "../read-whole.js";
import type { RemoteFile, RemoteModel, RemoteStore } from "../remote-store.js";
import { fileUrl, parseRemote, type RemoteAddress } from "../url.js";
import { chooseFiles } from "../wanted-files.js";
import { createHubAccess } from "./access.js";
import { type HubModelInfo, maxModelInfoBytes, modelInfoPath, parseModelInfo } from "./model-info.js";
import { hubRefusal } from "./refusals.js";
import { type HubSession, openSession } from "./session.js";
import { isOffline } from "./settings.js";

/** The Hugging Face Hub, or a server that speaks as it does. */
export function createHubStore(client: HttpClient): RemoteStore {
  // Looked up for each request: a new token takes effect in a process that runs for weeks.
  const session = (): Promise<HubSession> => openSession(client.env);
  const access = createHubAccess(client, session);
  const store: RemoteStore = {
    find: async (url, signal) => {
      const address = addressOf(url);
      if (isOffline(client.env)) {
        throw refusal(url, "HF_HUB_OFFLINE is set, and it is not in the Hub's cache as a whole");
      }
      const info = await askInfo(client, await session(), address, signal);
      return findFiles(address, info, store, signal);
    },
    read: (file, range, deliver, signal) => readRange(client, access, file, range, deliver, signal),
    // The client is whoever made it's.
    close: async () => undefined,
  };
  return store;
}

/** Longest file name that Linux and macOS file systems store. */
const maxNameBytes = 255;

type HubRemote = RemoteAddress & { readonly hub: HubAddress };

function addressOf(url: string): HubRemote {
  const { address, problem } = parseRemote(url);
  if (address?.hub === undefined) throw refusal(url, problem ?? "it is no address of the Hub's");
  return { ...address, hub: address.hub };
}

function askInfo(
  client: HttpClient,
  session: HubSession,
  { url, hub }: HubRemote,
  signal: AbortSignal | undefined,
): Promise<HubModelInfo> {
  const { endpoint, authorization } = session;
  const { patience } = client;
  return withRetries(
    async () => {
      const asked = `${endpoint}${modelInfoPath(hub)}`;
      const headers = { accept: "application/json" };
      const { reply } = await follow(client, { method: "GET", url: asked, headers, signal, authorization });
      await assertWorking(reply);
      await assertLetIn(reply, { url, hub, session });
      const limits = { maxBytes: maxModelInfoBytes, stallMs: patience.stallMs };
      return parseModelInfo(await readBody(url, reply, limits), url);
    },
    { url, patience, signal, isFirst: true },
  );
}

async function assertLetIn(reply: Reply, asked: Parameters<typeof hubRefusal>[0]): Promise<void> {
  if (reply.status === 200) return;
  await reply.discard();
  throw hubRefusal(asked, reply) ?? refusal(asked.url, `the Hub answers with ${reply.status}`);
}

async function findFiles(
  { authority, segments, hub }: HubRemote,
  { commit, files, license }: HubModelInfo,
  store: Pick<RemoteStore, "read">,
  signal: AbortSignal | undefined,
): Promise<RemoteModel> {
  const url = [`${authority}@${commit}`, ...segments].join("/");
  const isFile = hub.path.at(-1)?.endsWith(".safetensors") === true;
  const prefix = (isFile ? hub.path.slice(0, -1) : hub.path).map((part) => `${part}/`).join("");
  const folder = [`${authority}@${commit}`, ...(isFile ? segments.slice(0, -1) : segments)].join("/");
  const listed = new Map<string, RemoteFile>();
  for (const { path, bytes, version } of files) {
    const name = path.slice(prefix.length);
    const at = fileUrl(folder, name);
    // A name that no address or no disk can hold is none of a model's files.
    if (!path.startsWith(prefix) || name.includes("/") || Buffer.byteLength(name) > maxNameBytes) continue;
    if (parseRemote(at).address?.url !== at) continue;
    listed.set(name, { url: at, bytes, version });
  }
  const named = hub.path.at(-1) ?? "";
  const { names, index } = chooseFiles(
    [...listed.keys()].filter((name) => !isFile || name === named || !/\.safetensors(?:\.index\.json)?$/.test(name)),
  );
  const indexFile = index === undefined ? undefined : listed.get(index);
  const shards = indexFile === undefined ? [] : await readShardNames(store, indexFile, signal);
  assertNoneMissing(
    url,
    shards,
    shards.filter((shard) => !listed.has(shard)),
  );
  const wanted = new Map(
    [...names, ...shards].flatMap((name) => {
      const file = listed.get(name);
      return file === undefined ? [] : [[name, file] as const];
    }),
  );
  if (![...wanted.keys()].some((name) => name.endsWith(".safetensors"))) {
    throw refusal(url, whyNone(isFile, [...listed.keys()]));
  }
  return { url, files: wanted, license };
}

function whyNone(isFile: boolean, listed: readonly string[]): string {
  if (isFile) return "there is no such file";
  const pickles = listed.some((name) => /\.(?:bin|pt|pth)$/.test(name));
  const advice = pickles ? "; it has pickle files, which can run code when they are read: convert them first" : "";
  return `it has no safetensors files${advice}`;
}
