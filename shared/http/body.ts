import type { IncomingMessage } from "node:http";
import { AmalgamError } from "../errors.js";
import { formatCount } from "../quote.js";
import { httpLimits } from "./limits.js";

/** The request is answered with 413. */
export class BodyTooLarge extends AmalgamError {
  constructor() {
    super("usage", `Cannot take a body of more than ${formatCount(httpLimits.bodyBytes)} bytes`);
  }
}

/** All of a request's body; asked for twice it is the same. Fails with {@link BodyTooLarge} before more is held. */
export function bodyOf(request: IncomingMessage): () => Promise<Buffer> {
  let reading: Promise<Buffer> | undefined;
  return () => {
    reading ??= read(request);
    return reading;
  };
}

async function read(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > httpLimits.bodyBytes) throw new BodyTooLarge();
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > httpLimits.bodyBytes) throw new BodyTooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}
