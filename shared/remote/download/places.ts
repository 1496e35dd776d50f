import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { AmalgamError } from "../../errors.js";
import { formatCount, quote } from "../../quote.js";
import { hubCachePaths } from "../hub/cache.js";
import { hubCacheDirectory } from "../hub/settings.js";
import type { HubAddress } from "../hub-address.js";
import type { RemoteFile, RemoteModel } from "../remote-store.js";
import { parseRemote, type RemoteAddress, splitFile } from "../url.js";

type Env = Readonly<Record<string, string | undefined>>;

/** What a file's content must come to. */
export interface Digest {
  readonly algorithm: "sha256" | "git-blob";
  readonly hex: string;
}

/** Where one file goes. */
export interface FilePlace {
  readonly file: RemoteFile;
  readonly path: string;
  readonly lock: string;
  /** Undefined: the server says nothing that content can be held against. */
  readonly digest: Digest | undefined;
  /** A symbolic link to `path` that is set when it is there. */
  readonly link?: { readonly path: string; readonly target: string };
}

/** Where a model goes. */
export interface ModelPlaces {
  readonly files: readonly FilePlace[];
  /** The folder of the model or, of one file that was named, that file. */
  readonly result: string;
  /** A name for the commit, and the file that remembers it. */
  readonly ref?: { readonly path: string; readonly commit: string };
}

/**
 * Of a model of the Hub's in the cache of its own tools; of any other below `$XDG_CACHE_HOME/amalgam/models`, in a folder
 * for each state that the files had. `asked` is the model's address as it was written, whose branch the cache remembers.
 */
export function placesFor(model: RemoteModel, asked: string, env: Env): ModelPlaces {
  const { address } = parseRemote(model.url);
  if (address === undefined) throw new TypeError("A model that was found has an address");
  if (model.files.size > maxFiles) {
    const problem = `it has ${formatCount(model.files.size)} files, above the limit of ${formatCount(maxFiles)}`;
    throw new AmalgamError("checkpoint_malformed", `Cannot download ${quote(model.url)}: ${problem}`);
  }
  for (const name of model.files.keys()) assertPlain(model.url, name);
  assertApart(model.url, [...model.files.keys()]);
  const { hub } = address;
  return hub === undefined ? ownPlaces(model, address, env) : hubPlaces(model, hub, asked, env);
}

function hubPlaces({ files }: RemoteModel, hub: HubAddress, asked: string, env: Env): ModelPlaces {
  const { blobs, refs, snapshots, locks } = hubCachePaths(hubCacheDirectory(env), hub);
  const commit = hub.revision ?? "";
  const named = hub.path.at(-1)?.endsWith(".safetensors") === true ? hub.path.at(-1) : undefined;
  const folder = join(snapshots, commit, ...(named === undefined ? hub.path : hub.path.slice(0, -1)));
  const places = [...files].map(([name, file]): FilePlace => {
    const version = file.version ?? "";
    const link = join(folder, name);
    const path = join(blobs, version);
    return {
      file,
      path,
      lock: join(locks, `${version}.lock`),
      digest: { algorithm: version.length === 64 ? "sha256" : "git-blob", hex: version },
      link: { path: link, target: relative(dirname(link), path) },
    };
  });
  const branch = parseRemote(asked).address?.hub?.revision ?? "main";
  const result = named === undefined ? folder : join(folder, named);
  return { files: places, result, ...(branch === commit ? {} : { ref: { path: join(refs, branch), commit } }) };
}

function ownPlaces({ files }: RemoteModel, address: RemoteAddress, env: Env): ModelPlaces {
  const { url, segments, authority } = address;
  const cache = resolve(env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache"));
  const { name } = splitFile(address);
  const named = files.get(name)?.url === url ? name : undefined;
  const folders = named === undefined ? segments : segments.slice(0, -1);
  const host = authority.replace(/^\w+:\/\//, "").replaceAll(":", "_");
  const folder = join(cache, "amalgam", "models", host, ...folders.map(folderName), stateOf(files));
  const places = [...files].map(([name, file]): FilePlace => {
    return { file, path: join(folder, name), lock: join(folder, ".locks", `${name}.lock`), digest: undefined };
  });
  return { files: places, result: named === undefined ? folder : join(folder, named) };
}

/** As short as file systems allow; a bucket's folders may be called anything. */
function folderName(segment: string): string {
  const isLong = Buffer.byteLength(segment) > maxFolderBytes;
  return isLong ? createHash("sha256").update(segment).digest("hex") : segment;
}

const maxFolderBytes = 200;
/** As many as shards may be, and some beside them. */
const maxFiles = 11_000;

/** The same for the same files, whenever they are looked at. */
function stateOf(files: ReadonlyMap<string, RemoteFile>): string {
  const facts = [...files].map(([name, { bytes, version }]) => [name, bytes, version ?? ""]).toSorted();
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 16);
}

/** On some machines' disks one of two such files would be written over the other. */
function assertApart(url: string, names: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const folded = name.normalize("NFC").toLowerCase();
    const twin = seen.get(folded);
    if (twin !== undefined) {
      const problem = `${quote(twin)} and ${quote(name)} are one file on disks that know no capitals`;
      throw new AmalgamError("path_refused", `Cannot download ${quote(url)}: ${problem}`);
    }
    seen.set(folded, name);
  }
}

function assertPlain(url: string, name: string): void {
  if (name !== "" && !/[/\\\p{C}]/u.test(name) && !name.startsWith(".")) return;
  throw new AmalgamError("path_refused", `Cannot download ${quote(url)}: ${quote(name)} is no plain file name`);
}
