/** What stands in the place of a secret. */
export const redacted = "[redacted]";

/** Who asks, in a URL. */
const userInfo = /([a-z][a-z0-9+.-]{0,19}:\/\/)[^\s/?#@"'<>]{1,4096}@/gi;

/** What may hold a signature. */
const query = /([a-z][a-z0-9+.-]{0,19}:\/\/[^\s?"'<>]{0,4096})\?[^\s"'<>]*/gi;

/** The words that clients and servers write before a secret. */
const credential =
  /\b(authorization|bearer|basic|token|password|passwd|secret|api[-_]?key|x-amz-signature|cookie)(["']?\s*[:=]\s*["']?|\s+)(?:(?:bearer|basic)\s+)?[^\s"',;&]{6,}/gi;

/** Tokens that are known by how they begin, wherever they stand. */
const knownToken = /\b(?:hf_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,}|ASIA[A-Z0-9]{12,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)/g;

/**
 * Text without the secrets that can be told from their form: names and passwords in URLs, queries of URLs (where
 * signatures stand), what follows `Authorization:` or `token=`, and tokens of known services. What has no such form must
 * not be put into a message in the first place.
 */
export function redact(text: string): string {
  return text
    .replace(userInfo, `$1${redacted}@`)
    .replace(query, `$1?${redacted}`)
    .replace(credential, (found, word: string, between: string) => {
      // "token of 12 characters" and the like is prose.
      return /[:=]/.test(between) || /^(?:bearer|basic)$/i.test(word) ? `${word}${between}${redacted}` : found;
    })
    .replace(knownToken, redacted);
}
