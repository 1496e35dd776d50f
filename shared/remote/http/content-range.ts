/** What `Content-Range` says (RFC 9110, 14.4); undefined: it says nothing that can be understood. */
export interface ContentRange {
  /** First byte and the one after the last; undefined for `*`, of an answer without bytes. */
  readonly range: { readonly begin: number; readonly end: number } | undefined;
  /** Of the whole file; undefined: the server does not know. */
  readonly total: number | undefined;
}

export function parseContentRange(text: string | undefined): ContentRange | undefined {
  const [, first, last, whole] = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15}|\*)$/i.exec(text?.trim() ?? "") ?? [];
  if (whole === undefined) return undefined;
  const total = whole === "*" ? undefined : Number(whole);
  if (first === undefined || last === undefined) return { range: undefined, total };
  const range = { begin: Number(first), end: Number(last) + 1 };
  return range.begin < range.end && (total === undefined || range.end <= total) ? { range, total } : undefined;
}
