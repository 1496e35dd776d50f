type Headers = ReadonlyMap<string, string>;

/** The ETag, quotes included, if it names the very bytes (RFC 9110, 8.8.1). */
export function strongETag(headers: Headers): string | undefined {
  const tag = headers.get("etag");
  return tag !== undefined && /^"[\x21\x23-\x7e]{1,256}"$/.test(tag) ? tag : undefined;
}

/** {@link RemoteFile.version} of a web server's file: the strong ETag, else the date of its last change. */
export function stateOf(headers: Headers): string | undefined {
  const date = headers.get("last-modified");
  return strongETag(headers) ?? (date !== undefined && !Number.isNaN(Date.parse(date)) ? date : undefined);
}
