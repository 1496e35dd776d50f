import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Nginx, startNginx } from "../../test/support/remote/nginx.js";
import { portOf } from "../../test/support/remote/ports.js";

/** Models by `owner/name`: folders below one that nginx serves. */
export interface HubModel {
  readonly id: string;
  /** Below the root. */
  readonly folder: string;
}

export interface BenchHub extends AsyncDisposable {
  /** For HF_ENDPOINT. */
  readonly url: string;
  /** Requests for weights so far. */
  readonly weightRequests: () => Promise<number>;
}

interface HubFile {
  readonly bytes: number;
  /** SHA-256 of weights, git's SHA-1 of what is small. */
  readonly digest: string;
  readonly isWeights: boolean;
}

const commit = "0".repeat(39).concat("1");

/**
 * A server that speaks as the Hub does, as far as it is asked by Amalgam and by huggingface_hub. Weights are on its "CDN",
 * an nginx that sends each answer at a limited speed, as what is far away does.
 */
export async function startBenchHub(
  root: string,
  models: readonly HubModel[],
  bytesPerSecond: number,
): Promise<BenchHub> {
  const nginx: Nginx = await startNginx({ root, config: `limit_rate ${bytesPerSecond};` });
  const folders = new Map(models.map(({ id, folder }) => [id, folder]));
  const files = new Map<string, ReadonlyMap<string, HubFile>>();
  for (const { id, folder } of models) files.set(id, await filesIn(join(root, folder)));

  const answer = async (path: string, isHead: boolean, response: ServerResponse): Promise<void> => {
    const [, api, id = "", kind, name = ""] =
      /^\/(api\/models\/)?([^/]+\/[^/]+)(?:\/(revision|resolve|tree)\/[^/]+)?(?:\/(.+))?$/.exec(path) ?? [];
    const model = files.get(id);
    if (model === undefined) return void response.writeHead(404, { "X-Error-Code": "RepoNotFound" }).end();
    if (api !== undefined && kind === "tree") return sendTree(response, model);
    if (api !== undefined) return sendInfo(response, id, model);
    const file = kind === "resolve" ? model.get(name) : undefined;
    response.setHeader("X-Repo-Commit", commit);
    if (file === undefined) return void response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
    const { bytes, digest, isWeights } = file;
    const place = `${folders.get(id)}/${name}`;
    if (isWeights) {
      const linked = { "X-Linked-Size": String(bytes), "X-Linked-ETag": `"${digest}"` };
      return void response
        .writeHead(302, { ...linked, Location: `${nginx.url}/${place}`, "Content-Length": "0" })
        .end();
    }
    response.writeHead(200, { ETag: `"${digest}"`, "Content-Length": bytes });
    if (isHead) response.end();
    else await pipeline(createReadStream(join(root, place)), response);
  };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "", "http://hub").pathname);
    answer(path, request.method === "HEAD", response).catch(() => response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    weightRequests: async () => (await nginx.requests()).length,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await nginx[Symbol.asyncDispose]();
    },
  };
}

async function filesIn(folder: string): Promise<ReadonlyMap<string, HubFile>> {
  const files = new Map<string, HubFile>();
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const { size: bytes } = await stat(path);
    const isWeights = name.endsWith(".safetensors");
    const digest = isWeights ? await sha256Of(path) : blobId(await readFile(path));
    files.set(name, { bytes, digest, isWeights });
  }
  return files;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** What git calls a file's content. */
function blobId(content: Buffer): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

function sendInfo(response: ServerResponse, id: string, files: ReadonlyMap<string, HubFile>): void {
  const siblings = [...files].map(([rfilename, { bytes, digest, isWeights }]) => {
    const lfs = { sha256: digest, size: bytes, pointerSize: 134 };
    return { rfilename, size: bytes, ...(isWeights ? { blobId: digest.slice(0, 40), lfs } : { blobId: digest }) };
  });
  const info = { id, modelId: id, sha: commit, siblings, tags: [], downloads: 0, private: false, gated: false };
  sendJson(response, info);
}

function sendTree(response: ServerResponse, files: ReadonlyMap<string, HubFile>): void {
  const entries = [...files].map(([path, { bytes, digest, isWeights }]) => {
    const lfs = { oid: digest, size: bytes, pointerSize: 134 };
    return { type: "file", path, size: bytes, ...(isWeights ? { oid: digest.slice(0, 40), lfs } : { oid: digest }) };
  });
  sendJson(response, entries);
}

function sendJson(response: ServerResponse, value: unknown): void {
  const text = Buffer.from(JSON.stringify(value));
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": text.length }).end(text);
}
