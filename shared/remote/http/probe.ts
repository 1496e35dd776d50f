import type { RemoteFile } from "../remote-store.js";
import type { Reply } from "./client.js";
import { parseContentRange } from "./content-range.js";
import { TryAgain } from "./retry.js";
import { isPage, refusal } from "./status.js";
import { stateOf } from "./validators.js";

/** What an answer to a request for a file's first byte says of the file. */
export type Probe =
  | { readonly kind: "file"; readonly file: RemoteFile }
  | { readonly kind: "absent"; readonly why: "missing" | "forbidden" | "page" };

/** Buckets that hide what they have say "forbidden" for what they have not. */
const missing: ReadonlySet<number> = new Set([404, 410]);

/** Reads an answer to `Range: bytes=0-0`, and nothing of its body. */
export async function probeReply(url: string, reply: Reply): Promise<Probe> {
  const { status, headers } = reply;
  const isWhole = status === 200;
  if (isWhole) reply.body.destroy();
  else await reply.discard();
  if (missing.has(status)) return { kind: "absent", why: "missing" };
  if (status === 403) return { kind: "absent", why: "forbidden" };
  if (isPage(reply)) return { kind: "absent", why: "page" };
  const version = stateOf(headers);
  const stated = parseContentRange(headers.get("content-range"));
  if (status === 206) {
    if (stated?.range?.begin !== 0 || stated.range.end !== 1)
      throw new TryAgain("its server sends other bytes than the first");
    if (stated.total === undefined) throw refusal(url, "its server does not say how large it is");
    return { kind: "file", file: { url, bytes: stated.total, version } };
  }
  if (status === 416 && stated?.total === 0) return { kind: "file", file: { url, bytes: 0, version } };
  if (!isWhole) throw refusal(url, `its server answers with ${status}`);
  if (headers.has("content-encoding")) throw new TryAgain("its server compresses what was to be sent as it is");
  const length = headers.get("content-length");
  if (length === undefined || !/^\d{1,15}$/.test(length)) throw refusal(url, "its server does not say how large it is");
  const bytes = Number(length);
  // Nothing can be told of ranges from an empty file's answer, and nothing needs to be.
  return { kind: "file", file: { url, bytes, version, ...(bytes === 0 ? {} : { wholeOnly: true as const }) } };
}
