import { X509Certificate } from "node:crypto";
import { quote } from "../../quote.js";
import type { CredentialFiles, Credentials } from "./credentials.js";
import type { Identity } from "./identity.js";
import type { Revocations } from "./revocation-list.js";

/** Something about the files that people should know. */
export interface TlsNotice {
  readonly level: "info" | "warning";
  readonly type: "tls reloaded" | "tls kept" | "certificate expires" | "certificate revoked" | "revocation list is old";
  readonly message: string;
}

/** What is in use. */
export interface TlsState {
  readonly current: Credentials;
  readonly identity: Identity;
  readonly revocations: Revocations;
  readonly files: CredentialFiles | undefined;
}

const dayMs = 24 * 60 * 60_000;
/** Who has so much of the certificate's life left is told to renew it; of one for longer than two weeks, in its last week. */
const lastPart = 0.2;
const longMs = 14 * dayMs;
const lastMs = 7 * dayMs;

/** What people are told of once a day for as long as it is so. */
export function remindersOf(state: TlsState, now: number): readonly TlsNotice[] {
  return [expiry(state, now), ownRevocation(state), oldList(state, now)].flatMap((notice) => notice ?? []);
}

function expiry({ identity, files }: TlsState, now: number): TlsNotice | undefined {
  const { name, validFrom, validTo } = identity;
  const leftMs = validTo.getTime() - now;
  const lifeMs = validTo.getTime() - validFrom.getTime();
  if (leftMs > Math.max(lastPart * lifeMs, lifeMs > longMs ? lastMs : 0)) return undefined;
  const file = files === undefined ? "" : ` in ${quote(files.certificate)}`;
  const when = leftMs <= 0 ? "expired" : `expires in ${(leftMs / dayMs).toFixed(1)} days,`;
  const message = `The certificate of ${quote(name)}${file} ${when} on ${validTo.toISOString()}: put a new one in its place, as amalgam certs --renew does; it is used without a restart`;
  return { level: "warning", type: "certificate expires", message };
}

function ownRevocation({ current, identity, revocations, files }: TlsState): TlsNotice | undefined {
  const on = revocations.revokedOn(new X509Certificate(current.certificate));
  if (on === undefined) return undefined;
  const file = files === undefined ? "" : ` in ${quote(files.certificate)}`;
  const message = `The certificate of ${quote(identity.name)}${file}, serial ${identity.serial}, is revoked since ${dayOf(on)}, and others refuse it: put a new one with a new key in its place, as amalgam certs --renew makes; it is used without a restart`;
  return { level: "warning", type: "certificate revoked", message };
}

/** It stays in force: a cluster that stops because nobody made a new list would be the greater harm. */
function oldList({ revocations, files }: TlsState, now: number): TlsNotice | undefined {
  const { nextUpdate } = revocations;
  if (nextUpdate === undefined || nextUpdate.getTime() > now) return undefined;
  const message = `The revocation list ${quote(files?.crl ?? "")} was to have a successor on ${nextUpdate.toISOString()}: put the authority's latest in its place; what it says stays in force`;
  return { level: "warning", type: "revocation list is old", message };
}

export function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
