import { isIP } from "node:net";
import { type HubAddress, parseHubAddress } from "./hub-address.js";

/** Which store a model is found by. `https` also stands for plain `http://` on this machine's own loopback. */
export type RemoteScheme = "https" | "hf" | "s3";

/** A folder or a file on a server, in its one canonical form. */
export interface RemoteAddress {
  readonly scheme: RemoteScheme;
  /** The whole of it, which {@link parseRemote} gives back unchanged; no slash at the end. */
  readonly url: string;
  /** All before the path: `https://host:8443`, `s3://bucket`, `hf://owner/name`. */
  readonly authority: string;
  /** Of the path below {@link authority}, each as it stands in `url`; for `hf` below the revision. */
  readonly segments: readonly string[];
  /** Of `hf` alone. */
  readonly hub?: HubAddress | undefined;
}

/** An address, or what is wrong with what was written, as the end of a sentence. */
export type ParsedRemote =
  | { readonly address: RemoteAddress; readonly problem?: undefined }
  | { readonly address?: undefined; readonly problem: string };

/** Whether a name is meant as an address on a server, however badly it is written; `node://` and folders are not. */
export function isRemote(name: string): boolean {
  return /^(?:https?|hf|s3):/i.test(name);
}

/** `https://host/path`, `hf://owner/name[@revision][/path]` or `s3://bucket[/key]`, checked. */
export function parseRemote(name: string): ParsedRemote {
  const [, written = "", rest = ""] = /^([a-z0-9]+):\/\/(.*)$/is.exec(name) ?? [];
  const scheme = written.toLowerCase();
  if (scheme === "") return { problem: "it is no address" };
  const problem = dangerIn(rest);
  if (problem !== undefined) return { problem };
  const trimmed = rest.replace(/\/$/, "");
  if (scheme === "https" || scheme === "http") return parseHttp(scheme, trimmed);
  if (scheme === "s3") return parseS3(trimmed);
  if (scheme === "hf") return parseHub(trimmed);
  return { problem: `"${scheme}" is not among https, hf and s3` };
}

/**
 * Whether a canonical URL is `root` or lies below it, by whole segments. `hf://owner` covers all of an owner's models,
 * `hf://owner/name` every revision of one, `hf://owner/name@revision` that one alone. False where either is no address.
 */
export function isBelow(url: string, root: string): boolean {
  const { address } = parseRemote(url);
  const owner = /^hf:\/\/([^/@]+)\/?$/i.exec(root)?.[1];
  if (owner !== undefined) return address?.hub?.owner === owner;
  const { address: above } = parseRemote(root);
  if (address === undefined || above === undefined || address.authority !== above.authority) return false;
  const revision = above.hub?.revision;
  if (revision !== undefined && address.hub?.revision !== revision) return false;
  return above.segments.every((segment, i) => address.segments[i] === segment);
}

/** What is wrong with a folder of a server that agents may read below, see {@link isBelow}; undefined: nothing. */
export function problemOfRoot(root: string): string | undefined {
  return /^hf:\/\/[A-Za-z0-9][\w.-]*\/?$/.test(root) ? undefined : parseRemote(root).problem;
}

/** The canonical URL of a file with a plain name in a folder with a canonical URL. */
export function fileUrl(folder: string, name: string): string {
  return `${folder}/${folder.startsWith("s3:") ? name : encodeSegment(name)}`;
}

/** The folder of a file and the file's name, decoded. */
export function splitFile(address: RemoteAddress): { readonly folder: string; readonly name: string } {
  const last = address.segments.at(-1) ?? "";
  const folder = address.url.slice(0, -last.length - 1);
  return { folder, name: address.scheme === "s3" ? last : decodeURIComponent(last) };
}

/** A URL as it may be printed: what follows `?` or `#` may be a signature, what stands before `@` a password. */
export function shown(url: string): string {
  return url.replace(/[?#].*$/s, "").replace(/^(https?:\/*)[^/]*@/i, "$1");
}

/** Loopback addresses and the name that stands for them. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

/**
 * What no address may hold, wherever it stands. `..` in a path that a library resolves leads out of the folder that
 * somebody allowed, and takes their token along; an escaped one does the same behind the next proxy.
 */
function dangerIn(rest: string): string | undefined {
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(rest)) return "it has a control or invisible character";
  if (rest.includes("\\")) return "it has a backslash";
  if (rest.includes("#")) return 'it has a "#"';
  if (rest.includes("?")) return 'it has a "?", and what follows one may be a secret: give the path alone';
  if (/%(?:25)*(?:2e|2f|5c|00)/i.test(rest)) return "it has an escaped dot, slash, backslash or NUL";
  const segments = rest.replace(/\/$/, "").split("/");
  if (segments.some((segment) => segment === "." || segment === "..")) return 'it has "." or ".." in its path';
  if (segments.includes("")) return 'it has an empty part, such as in "//"';
  return undefined;
}

function parseHttp(scheme: "https" | "http", rest: string): ParsedRemote {
  const [host = "", ...parts] = rest.split("/");
  if (host.includes("@")) return { problem: "it holds a user or a password: put them into ~/.netrc" };
  const base = URL.canParse(`${scheme}://${host}/`) ? new URL(`${scheme}://${host}/`) : undefined;
  if (base === undefined || base.hostname === "") return { problem: "its host is no host" };
  if (scheme === "http" && !isLoopbackHost(base.hostname)) {
    return { problem: 'it is "http://", which anyone on the way can change: use "https://"' };
  }
  const segments: string[] = [];
  for (const part of parts) {
    const text = decoded(part);
    if (text === undefined || /[\p{C}]/u.test(text)) return { problem: `"${part}" is escaped wrongly` };
    segments.push(encodeSegment(text));
  }
  const authority = base.origin;
  return { address: { scheme: "https", authority, segments, url: [authority, ...segments].join("/") } };
}

/** Keys are written as they are, without escapes, as in the tools of S3. */
function parseS3(rest: string): ParsedRemote {
  const [bucket = "", ...segments] = rest.split("/");
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) || bucket.includes("..")) {
    return { problem: `"${bucket}" is no bucket's name: it is written "s3://bucket/prefix"` };
  }
  const authority = `s3://${bucket}`;
  return { address: { scheme: "s3", authority, segments, url: [authority, ...segments].join("/") } };
}

function parseHub(rest: string): ParsedRemote {
  const parsed = parseHubAddress(rest);
  if (parsed.hub === undefined) return parsed;
  const { hub } = parsed;
  const garbled = hub.path.find((part) => /\p{C}/u.test(part));
  if (garbled !== undefined) return { problem: "it has an escaped control or invisible character" };
  const segments = hub.path.map(encodeSegment);
  const authority = `hf://${hub.owner}/${hub.name}`;
  const pinned = hub.revision === undefined ? authority : `${authority}@${hub.revision}`;
  return { address: { scheme: "hf", authority, segments, hub, url: [pinned, ...segments].join("/") } };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** What a path may hold unescaped besides letters and digits stays so (RFC 3986, "pchar"). */
function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(/%(?:24|26|2B|2C|3A|3B|3D|40)/g, decodeURIComponent);
}
