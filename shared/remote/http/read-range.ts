import { formatBytes } from "../../bytes.js";
import { AmalgamError } from "../../errors.js";
import { formatCount } from "../../quote.js";
import { unlessAborted } from "../../unless-aborted.js";
import type { RemoteFile } from "../remote-store.js";
import type { HttpClient, Reply } from "./client.js";
import { parseContentRange } from "./content-range.js";
import { GiveUp, TryAgain, withRetries } from "./retry.js";
import { assertWorking, changed, isPage, progressBytes, refusal, stallWatch, tooMuch } from "./status.js";

/** How a kind of server is asked for a file's bytes. */
export interface Access {
  /**
   * One try to get an answer with these headers, redirects followed. Fails with {@link TryAgain}, or for good where the
   * server refuses the file.
   */
  readonly ask: (
    file: RemoteFile,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ) => Promise<Reply>;
  /** Fails with `checkpoint_changed` for the answer of another state of the file. */
  readonly assertSame: (file: RemoteFile, reply: Reply) => void;
}

/** One request's worth: what a read holds of the bytes that may be on their way. */
const maxRequestBytes = 16 << 20;

/** {@link RemoteStore.read}, whatever the kind of server. */
export async function readRange(
  client: HttpClient,
  access: Access,
  file: RemoteFile,
  { offset, length }: { readonly offset: number; readonly length: number },
  deliver: (bytes: Uint8Array) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (offset < 0 || length < 0 || offset + length > file.bytes) {
    throw new RangeError(`[${offset}, ${offset + length}) is not in ${file.bytes} bytes`);
  }
  const step = file.wholeOnly ? length : maxRequestBytes;
  for (let begin = offset; begin < offset + length; begin += step) {
    const end = Math.min(begin + step, offset + length);
    const read = readOnce(client, access, file, { begin, end }, deliver, signal);
    await (signal === undefined ? read : unlessAborted(signal, read)).catch((error: unknown) => {
      throw signal?.aborted ? AmalgamError.from(signal.reason) : error;
    });
  }
}

async function readOnce(
  client: HttpClient,
  access: Access,
  file: RemoteFile,
  { begin, end }: Range,
  deliver: (bytes: Uint8Array) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  let done = begin;
  let before = begin;
  const { gate, patience } = client;
  const attempt = async (): Promise<void> => {
    signal?.throwIfAborted();
    const reply = await access.ask(file, { range: `bytes=${done}-${end - 1}` }, signal);
    try {
      await assertWorking(reply);
      const wanted = checkReply(access, file, { begin: done, end }, reply);
      await receive(file.url, reply, wanted, patience.stallMs, (chunk) => {
        signal?.throwIfAborted();
        done += chunk.length;
        try {
          deliver(chunk);
        } catch (reason) {
          throw new GiveUp(reason);
        }
      });
    } catch (error) {
      reply.body.destroy();
      throw error;
    }
  };
  await withRetries(
    () => {
      before = done;
      // Held by the attempt alone: nobody else has to wait while a server that fails is left in peace.
      return gate.hold(Math.min(end - done, maxRequestBytes), attempt);
    },
    { url: file.url, patience, signal, hasProgressed: () => done - before >= progressBytes },
  );
}

/** What an answer's body holds: `take` bytes behind the first `skip`, and `bytes` in all. */
interface Wanted {
  readonly skip: number;
  readonly take: number;
  readonly bytes: number;
}

interface Range {
  readonly begin: number;
  readonly end: number;
}

/** Fails for an answer that holds anything else than was asked for. */
function checkReply(access: Access, file: RemoteFile, { begin, end }: Range, reply: Reply): Wanted {
  const { status, headers } = reply;
  const { url } = file;
  const stated = parseContentRange(headers.get("content-range"));
  if (status === 416) {
    const { total } = stated ?? {};
    if (total === undefined || total === file.bytes) throw new TryAgain("its server says that there are no such bytes");
    throw changed(url, "size", formatCount(total), formatCount(file.bytes));
  }
  if (status === 412) throw changed(url, "version", headers.get("etag") ?? "another", file.version ?? "unknown");
  if (status !== 206 && status !== 200) throw refusal(url, `its server answers with ${status}`);
  if (isPage(reply) && !url.endsWith(".html")) throw new TryAgain("its server answers with a web page");
  access.assertSame(file, reply);
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") throw new TryAgain("its server compresses what was to be sent as it is");
  const length = headers.get("content-length");
  if (status === 200) return checkWhole(file, { begin, end }, length);
  if (stated?.range === undefined) throw new TryAgain("its server does not say which bytes it sends");
  const { range, total } = stated;
  if (total !== undefined && total !== file.bytes) {
    throw changed(url, "size", formatCount(total), formatCount(file.bytes));
  }
  const isLength = length === undefined || Number(length) === end - begin;
  if (range.begin !== begin || range.end !== end || !isLength) {
    throw new TryAgain(`its server sends other bytes than those at ${formatCount(begin)} that were asked for`);
  }
  return { skip: 0, take: end - begin, bytes: end - begin };
}

/** An answer that leaves ranges out of account: good for a file that is wanted whole, or small enough to read it again. */
function checkWhole(file: RemoteFile, { begin, end }: Range, length: string | undefined): Wanted {
  if (length !== undefined && Number(length) !== file.bytes) {
    throw changed(file.url, "size", formatCount(Number(length)), formatCount(file.bytes));
  }
  if (file.bytes > progressBytes && (!file.wholeOnly || end < file.bytes)) {
    throw refusal(
      file.url,
      `its server sends all ${formatBytes(file.bytes)} where a range was asked for; fetch the model with "amalgam download", ` +
        "and name the folder that it prints",
    );
  }
  return { skip: begin, take: end - begin, bytes: file.bytes };
}

async function receive(
  url: string,
  reply: Reply,
  { skip, take, bytes }: Wanted,
  stallMs: number,
  deliver: (chunk: Uint8Array) => void,
): Promise<void> {
  const { body } = reply;
  const assertFlowing = stallWatch(stallMs);
  let at = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    // Whoever sends more would send without an end; leaving the loop cuts the connection.
    if (at + chunk.length > bytes) throw tooMuch(url, `the ${formatCount(bytes)} bytes that were asked for`);
    const wanted = chunk.subarray(Math.max(0, skip - at), Math.max(0, skip + take - at));
    if (wanted.length > 0) deliver(wanted);
    at += chunk.length;
    if (at < bytes) assertFlowing(at);
  }
  if (at < bytes) throw new TryAgain("the connection was cut");
}
