/** What stands in the place of a secret. */
export const redacted = "[redacted]";

/** Who asks, in a URL; the last `@` counts, for a password may have others. */
const userInfo = /([a-z][a-z0-9+.-]{0,19}:\/\/)[^\s/?#"'<>]{1,4096}@/gi;

/** What may hold a signature. */
const query = /([a-z][a-z0-9+.-]{0,19}:\/\/[^\s?"'<>]{0,4096})\?[^\s"'<>]*/gi;

/** Headers that are secret to their end, whatever scheme they name. */
const header = /\b((?:proxy-)?authorization|(?:set-)?cookie)(\\?["']?\s*[:=]\s*\\?["']?)[^\s"'\\][^\r\n"'\\]*/gi;

/** What follows the name of a secret, as in `AWS_SECRET_ACCESS_KEY=…`, `"sessionToken": "…"` and `--token=…`. */
const named =
  /\b((?:[a-z0-9]{1,30}[_-]){0,5}(?:access|auth|client|id|refresh|security|session)?(?:token|secret|password|passwd|passphrase|signature|credential|(?:secret|access|api|private)[_-]?(?:access[_-]?)?key))(\\?["']?\s*[:=]\s*\\?["']?)[^\s"'\\,;&]{6,}/gi;

/** Schemes of `Authorization`, without the header's name. */
const scheme = /\b(bearer|basic)(\s+)[^\s"',;&]{6,}/gi;

/** Secrets that are known by how they begin, wherever they stand: of Hugging Face, AWS, GitHub, JWT, and seeds of NATS. */
const known =
  /\b(?:hf_[A-Za-z0-9]{16,}|A[KS]IA[A-Z0-9]{12,}|gh[a-z]_[A-Za-z0-9]{20,}|eyJ[\w-]{8,4096}\.[\w-]{8,4096}\.[\w-]{0,4096}|S[ACNOUX][A-Z2-7]{56})\b/g;

const privateKey = /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,16384}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?/g;

/**
 * Text without the secrets that can be told from their form: names and passwords in URLs, queries of URLs (where
 * signatures stand), what follows `Authorization:` or `token=`, and tokens of known services. What has no such form must
 * not be put into a message in the first place.
 */
export function redact(text: string): string {
  return text
    .replace(privateKey, redacted)
    .replace(userInfo, `$1${redacted}@`)
    .replace(query, `$1?${redacted}`)
    .replace(header, `$1$2${redacted}`)
    .replace(named, `$1$2${redacted}`)
    .replace(scheme, `$1$2${redacted}`)
    .replace(known, redacted);
}
