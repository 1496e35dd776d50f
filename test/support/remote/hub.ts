import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { portOf } from "./ports.js";
import { end, serveBytes } from "./serve-bytes.js";

/** A model's files by path; those of weights are in LFS, on the CDN. */
export type HubFiles = Readonly<Record<string, Uint8Array | string>>;

export interface HubModelOptions {
  readonly files: HubFiles;
  /** Only with a token, and one of those that accepted the licence. */
  readonly isGated?: boolean;
  /** Strangers are told that there is no such model. */
  readonly isPrivate?: boolean;
  readonly license?: string;
}

export interface HubOptions {
  /** By `owner/name`. */
  readonly models: Readonly<Record<string, HubModelOptions>>;
  /** Tokens it knows. @default none */
  readonly tokens?: readonly string[];
  /** Where its redirects lead instead of its own CDN, such as to a proxy in front of that. */
  readonly cdnUrl?: (own: string) => string;
  /** How long a signed address lives. @default 3600 */
  readonly signatureSeconds?: number;
}

/** What a server was asked; `hasToken` says whether an `Authorization` came along. */
export interface Asked {
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly range: string | undefined;
  readonly hasToken: boolean;
}

export interface Hub extends AsyncDisposable {
  /** For HF_ENDPOINT. */
  readonly url: string;
  /** Another origin, where LFS files are. */
  readonly cdnUrl: string;
  readonly asked: readonly Asked[];
  readonly cdnAsked: readonly Asked[];
  /** A new commit on a branch; returns it. */
  readonly push: (model: string, files: HubFiles, branch?: string) => string;
  readonly commitOf: (model: string, branch?: string) => string;
  /** From now on, addresses signed before are refused with 403. */
  readonly expireSignatures: () => void;
}

/** All files of a folder. */
export async function filesIn(folder: string): Promise<HubFiles> {
  const names = await readdir(folder);
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))])));
}

interface Stored {
  readonly options: HubModelOptions;
  readonly branches: Map<string, string>;
  readonly commits: Map<string, ReadonlyMap<string, Buffer>>;
}

/** A server that speaks as the Hub does, with a CDN on another port. */
export async function startHub(options: HubOptions): Promise<Hub> {
  const { tokens = [], signatureSeconds = 3600 } = options;
  const models = new Map<string, Stored>();
  /** By digest. */
  const lfs = new Map<string, Buffer>();
  const push = (name: string, files: HubFiles, branch = "main"): string => {
    const stored = models.get(name);
    if (stored === undefined) throw new Error(`There is no model ${name}`);
    const buffers = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]));
    for (const [path, content] of buffers) if (isLfs(path)) lfs.set(sha256(content), content);
    const hash = createHash("sha1").update(name).update(branch).update(String(stored.commits.size));
    for (const [path, content] of buffers) hash.update(path).update(content);
    const commit = hash.digest("hex");
    stored.commits.set(commit, buffers);
    stored.branches.set(branch, commit);
    return commit;
  };
  for (const [name, model] of Object.entries(options.models)) {
    models.set(name, { options: model, branches: new Map(), commits: new Map() });
    push(name, model.files);
  }

  let generation = 1;
  const asked: Asked[] = [];
  const cdnAsked: Asked[] = [];
  const cdn = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://cdn");
    cdnAsked.push(note(request, url));
    const isValid =
      url.searchParams.get("Signature") === `s${generation}` &&
      Number(url.searchParams.get("Expires")) * 1000 > Date.now();
    if (!isValid) return end(response, 403);
    const digest = url.pathname.slice(1);
    const bytes = lfs.get(digest);
    if (bytes === undefined) return end(response, 404);
    serveBytes(request, response, bytes, `"cdn-${digest.slice(0, 16)}"`);
  });
  const cdnUrl = await listen(cdn);

  const hub = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://hub");
    asked.push(note(request, url));
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (token !== undefined && !tokens.includes(token)) {
      return end(response, 401, { "X-Error-Message": "Invalid credentials in Authorization header" });
    }
    const path = decodeURIComponent(url.pathname);
    const [, api, modelName = "", kind = "", rest = ""] =
      /^\/(api\/models\/)?([^/]+\/[^/]+)(?:\/(revision|resolve|tree)\/(.+))?$/.exec(path) ?? [];
    const stored = models.get(modelName);
    if (stored === undefined || (stored.options.isPrivate && token === undefined)) {
      return end(response, token === undefined ? 401 : 404, { "X-Error-Code": "RepoNotFound" });
    }
    const names = [...stored.branches.keys(), ...stored.commits.keys()].toSorted((a, b) => b.length - a.length);
    const revision = kind === "" ? "main" : names.find((name) => rest === name || rest.startsWith(`${name}/`));
    const commit = stored.branches.get(revision ?? "") ?? revision ?? "";
    const files = stored.commits.get(commit);
    if (files === undefined) return end(response, 404, { "X-Error-Code": "RevisionNotFound" });
    if (api !== undefined && kind === "tree") return sendTree(response, files);
    if (api !== undefined) return sendInfo(response, modelName, commit, files, stored.options);
    if (stored.options.isGated && token === undefined) return end(response, 401, { "X-Error-Code": "GatedRepo" });
    const content = files.get(rest.slice((revision ?? "").length + 1));
    response.setHeader("X-Repo-Commit", commit);
    if (content === undefined) return end(response, 404, { "X-Error-Code": "EntryNotFound" });
    if (!isLfs(rest)) return serveBytes(request, response, content, `"${blobId(content)}"`);
    const digest = sha256(content);
    const expires = Math.floor(Date.now() / 1000) + signatureSeconds;
    end(response, 302, {
      Location: `${options.cdnUrl?.(cdnUrl) ?? cdnUrl}/${digest}?Expires=${expires}&Signature=s${generation}`,
      "X-Linked-Size": String(content.length),
      "X-Linked-ETag": `"${digest}"`,
    });
  });
  const hubUrl = await listen(hub);
  return {
    url: hubUrl,
    cdnUrl,
    asked,
    cdnAsked,
    push,
    commitOf: (model, branch = "main") => models.get(model)?.branches.get(branch) ?? "",
    expireSignatures: () => {
      generation += 1;
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of [hub, cdn]) {
        server.closeAllConnections();
        server.close();
        await once(server, "close");
      }
    },
  };
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${portOf(server)}`;
}

function note({ method = "", headers }: IncomingMessage, { pathname }: URL): Asked {
  return { method, path: pathname, range: headers.range, hasToken: headers.authorization !== undefined };
}

function sendInfo(
  response: ServerResponse,
  name: string,
  commit: string,
  files: ReadonlyMap<string, Buffer>,
  { license, isGated = false, isPrivate = false }: HubModelOptions,
): void {
  const siblings = [...files].map(([rfilename, content]) => {
    const lfs = isLfs(rfilename) ? { sha256: sha256(content), size: content.length, pointerSize: 134 } : undefined;
    return { rfilename, size: content.length, blobId: blobId(content), lfs };
  });
  const cardData = license === undefined ? undefined : { license };
  const info = {
    id: name,
    modelId: name,
    sha: commit,
    siblings,
    cardData,
    gated: isGated && "auto",
    private: isPrivate,
  };
  send(response, { ...info, tags: [], downloads: 0 });
}

function sendTree(response: ServerResponse, files: ReadonlyMap<string, Buffer>): void {
  const entries = [...files].map(([path, content]) => {
    const lfs = isLfs(path) ? { oid: sha256(content), size: content.length, pointerSize: 134 } : undefined;
    return { type: "file", oid: blobId(content), size: content.length, path, lfs };
  });
  send(response, entries);
}

function send(response: ServerResponse, value: unknown): void {
  const text = Buffer.from(JSON.stringify(value));
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": text.length }).end(text);
}

function isLfs(path: string): boolean {
  return path.endsWith(".safetensors");
}

function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

/** What git calls a file's content. */
function blobId(content: Buffer): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}
