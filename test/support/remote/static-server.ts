import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { portOf } from "./ports.js";
import { end, serveBytes } from "./serve-bytes.js";

export interface StaticServer extends AsyncDisposable {
  readonly url: string;
  /** Path by path, in order. */
  readonly asked: readonly { readonly path: string; readonly authorization: string | undefined }[];
}

/** A web server over files in memory, with ranges and ETags; `answer` may take a request upon itself and says so. */
export async function startStaticServer(
  files: Readonly<Record<string, Uint8Array | string>>,
  answer: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
): Promise<StaticServer> {
  const contents = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]));
  const asked: { path: string; authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "/");
    asked.push({ path, authorization: request.headers.authorization });
    if (answer(request, response)) return;
    const content = contents.get(path);
    if (content === undefined) end(response, 404);
    else serveBytes(request, response, content, `"${createHash("sha1").update(content).digest("hex")}"`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
