import { isIP } from "node:net";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { alternativeNames, type Identity, type Role } from "../../shared/rpc/tls/identity.js";
import type { Subject } from "./authority.js";

/** The words of `amalgam certs`, each as `NAME=HOST[,HOST…]` or `NAME`; of NATS, hosts alone. */
export interface SubjectWords {
  readonly agent: readonly string[];
  readonly coordinator: readonly string[];
  readonly operator: readonly string[];
  readonly viewer: readonly string[];
  readonly nats: readonly string[];
  readonly cluster?: string | undefined;
}

/** Files of these names are something else. */
const natsName = "nats";
const reserved: ReadonlySet<string> = new Set(["ca", natsName]);

/** Who is to have a certificate. Fails with `usage` for names that make no file, hosts that are none, and doubles. */
export function subjectsOf(words: SubjectWords): readonly Subject[] {
  const { cluster } = words;
  if (cluster !== undefined) assertName("--cluster", cluster);
  const of = (role: Role): readonly Subject[] =>
    words[role].map((word) => ({ ...parseWord(role, word), roles: [role], cluster }));
  const nats = words.nats.flatMap((word) => hostsOf("--nats", word));
  const servers: readonly Subject[] = nats.length === 0 ? [] : [{ name: natsName, roles: [], cluster, hosts: nats }];
  const subjects = [...of("agent"), ...of("coordinator"), ...of("operator"), ...of("viewer"), ...servers];
  // Some file systems do not tell "A.pem" from "a.pem".
  const names = subjects.map(({ name }) => name.toLowerCase());
  const double = subjects.find(({ name }, index) => names.indexOf(name.toLowerCase()) !== index)?.name;
  if (double === undefined) return subjects;
  throw new AmalgamError("usage", `Cannot make two certificates named ${quote(double)}: give each its own name`);
}

/** As a certificate says it, to issue the next one. */
export function subjectOf({ name, roles, cluster }: Identity, subjectAltName: string | undefined): Subject {
  const hosts = alternativeNames(subjectAltName ?? "").filter(({ kind }) => kind === "DNS" || kind === "IP Address");
  return { name, roles, cluster, hosts: hosts.map(({ value }) => value) };
}

function parseWord(role: Role, word: string): { readonly name: string; readonly hosts: readonly string[] } {
  const option = `--${role}`;
  const at = word.indexOf("=");
  const name = at < 0 ? word : word.slice(0, at);
  assertName(option, name);
  if (reserved.has(name.toLowerCase())) throw refused(option, name, "that is the name of another file");
  if (at >= 0) return { name, hosts: hostsOf(option, word.slice(at + 1)) };
  // Others connect to agents; the rest connect to others.
  return { name, hosts: role === "agent" ? hostsOf(option, name) : [] };
}

function hostsOf(option: string, words: string): readonly string[] {
  return words.split(",").map((word) => {
    const host = word.trim().replace(/^\[(.*)\]$/, "$1");
    if (isIP(host) !== 0 || isHostName(host)) return host;
    throw refused(option, word, 'it is no host, such as "gpu-7.example.org" or "10.0.0.7"');
  });
}

/** RFC 1123. A certificate for `*` would be everybody's. */
function isHostName(host: string): boolean {
  const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;
  return host.length <= 253 && !/^[\d.]+$/.test(host) && host.split(".").every((part) => label.test(part));
}

function assertName(option: string, name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) return;
  throw refused(option, name, 'a name takes up to 63 letters, digits, ".", "_" and "-", a letter or digit first');
}

function refused(option: string, word: string, reason: string): AmalgamError {
  return new AmalgamError("usage", `Cannot use ${quote(word)} for "${option}": ${reason}`);
}
