import { formatCount } from "../../quote.js";
import type { HttpClient, Reply } from "../http/client.js";
import { assertSafe, follow, redirectOf } from "../http/follow.js";
import type { Access } from "../http/read-range.js";
import { TryAgain } from "../http/retry.js";
import { assertWorking, changed, refusal } from "../http/status.js";
import { strongETag } from "../http/validators.js";
import { type HubAddress, isCommit } from "../hub-address.js";
import type { RemoteFile } from "../remote-store.js";
import { parseRemote } from "../url.js";
import { expiryOf, type HubLocation, HubLocations } from "./locations.js";
import { hubRefusal } from "./refusals.js";
import type { HubSession } from "./session.js";

const refusing: ReadonlySet<number> = new Set([401, 403, 404, 410]);
/** What mirrors of the Hub say that know no HEAD. */
const headless: ReadonlySet<number> = new Set([405, 501]);

/**
 * How the Hub's files are read. Large ones are on a CDN: the Hub is asked once where, and again when the signature of that
 * address has expired; small ones the Hub sends itself. The token goes to the Hub alone.
 */
export function createHubAccess(client: HttpClient, session: () => Promise<HubSession>): Access {
  const locations = new HubLocations();

  const askHub: Access["ask"] = async (file, headers, signal) => {
    const opened = await session();
    const url = resolveUrl(opened.endpoint, file);
    const { reply } = await follow(client, {
      method: "GET",
      url,
      headers,
      signal,
      authorization: opened.authorization,
    });
    await assertWorking(reply);
    await assertLetIn(file, reply, opened);
    return orDestroyed(reply, () => assertSameOnHub(file, reply));
  };

  const locate = async (file: RemoteFile): Promise<HubLocation> => {
    const opened = await session();
    const asked = new URL(resolveUrl(opened.endpoint, file));
    const goesOn = (to: URL): boolean => to.origin === asked.origin;
    // Several readers wait for the answer, and one that gives up must not take it from the others: no signal.
    const place = { url: asked.href, signal: undefined, authorization: opened.authorization, goesOn };
    let followed = await follow(client, { ...place, method: "HEAD", headers: {} });
    await followed.reply.discard();
    if (headless.has(followed.reply.status)) {
      followed = await follow(client, { ...place, method: "GET", headers: { range: "bytes=0-0" } });
      await followed.reply.discard();
    }
    const { reply, url } = followed;
    await assertWorking(reply);
    await assertLetIn(file, reply, opened);
    assertSameOnHub(file, reply);
    const to = nextPlace(file, reply, url);
    return { url: to.href, expiresAt: expiryOf(to, Date.now()) };
  };

  const askCdn: Access["ask"] = async (file, headers, signal) => {
    const location = await locations.get(file, () => locate(file));
    const { endpoint, authorization } = await session();
    const isHub = new URL(location.url).origin === new URL(endpoint).origin;
    const own = isHub ? authorization : undefined;
    const { reply } = await follow(client, { method: "GET", url: location.url, headers, signal, authorization: own });
    if (refusing.has(reply.status)) {
      locations.drop(file, location);
      await reply.discard();
      throw new TryAgain(`the server that the Hub names for it answers with ${reply.status}`);
    }
    const tag = strongETag(reply.headers);
    const before = tag && locations.tagBefore(file, location, tag);
    return orDestroyed(reply, () => {
      if (tag !== undefined && before !== undefined && tag !== before) throw changed(file.url, "ETag", tag, before);
    });
  };

  return {
    ask: (file, headers, signal) => (isLarge(file) ? askCdn : askHub)(file, headers, signal),
    // Whatever there is to compare differs between the Hub and its CDN, and was compared where it was asked.
    assertSame: () => undefined,
  };
}

/** The answer, whose body nobody will read where it does not pass. */
function orDestroyed(reply: Reply, check: () => void): Reply {
  try {
    check();
    return reply;
  } catch (error) {
    reply.body.destroy();
    throw error;
  }
}

/** Files in LFS, whose version is a SHA-256; git's blobs are known by a SHA-1. */
function isLarge({ version }: RemoteFile): boolean {
  return version?.length === 64;
}

function resolveUrl(endpoint: string, { url }: RemoteFile): string {
  const { hub, segments } = addressOf(url);
  return `${endpoint}/${hub.owner}/${hub.name}/resolve/${encodeURIComponent(hub.revision ?? "main")}/${segments.join("/")}`;
}

function addressOf(url: string): { readonly hub: HubAddress; readonly segments: readonly string[] } {
  const { address, problem } = parseRemote(url);
  if (address?.hub === undefined) throw refusal(url, problem ?? "it is no address of the Hub's");
  return { hub: address.hub, segments: address.segments };
}

async function assertLetIn(file: RemoteFile, reply: Reply, session: HubSession): Promise<void> {
  if (reply.status < 400 || reply.status === 412 || reply.status === 416) return;
  const { url } = file;
  await reply.discard();
  throw (
    hubRefusal({ url, hub: addressOf(url).hub, session }, reply) ?? refusal(url, `the Hub answers with ${reply.status}`)
  );
}

/** Compares what the Hub says of a file with what it said when the file was found. */
function assertSameOnHub({ url, bytes, version }: RemoteFile, { headers }: Reply): void {
  const { hub } = addressOf(url);
  const commit = headers.get("x-repo-commit");
  if (commit !== undefined && isCommit(hub.revision ?? "") && commit !== hub.revision) {
    throw changed(url, "commit", commit, hub.revision ?? "");
  }
  const linked = headers.get("x-linked-size");
  if (linked !== undefined && Number(linked) !== bytes) {
    throw changed(url, "size", formatCount(Number(linked)), formatCount(bytes));
  }
  const tag = (headers.get("x-linked-etag") ?? headers.get("etag"))?.replace(/^W\/|"/g, "");
  // A mirror may have tags of its own kind.
  const isComparable = tag !== undefined && /^[0-9a-f]+$/.test(tag) && tag.length === version?.length;
  if (isComparable && tag !== version) throw changed(url, "digest", tag, version);
}

function nextPlace({ url }: RemoteFile, reply: Reply, from: string): URL {
  const to = redirectOf(reply, from);
  if (to === undefined && reply.status >= 300) throw new TryAgain("the Hub does not say where it is");
  if (to !== undefined) assertSafe(url, new URL(from), to);
  return to ?? new URL(from);
}
