import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { type Clock, systemClock } from "../clock.js";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";

/** Wrong tokens that one address may show within {@link forgetMs}; after them it is not listened to, right or wrong. */
const maxTries = 10;
const forgetMs = 60_000;
/** Addresses whose tries are remembered. The one that was heard of longest ago is forgotten for the next. */
const maxAddresses = 1_024;

const minTokenLength = 16;
const maxTokenLength = 1_024;
/** A browser shows it until it is closed, and for so long at most. */
const sessionSeconds = 12 * 3_600;

export type Shown = "right" | "wrong" | "none" | "too often";

export interface GatekeeperOptions {
  readonly isTls: boolean;
  readonly clock?: Clock;
  /** A wrong token was shown: called at most {@link maxTries} times a minute for one address. */
  readonly onWrong?: (address: string) => void;
}

/** Knows the token, and who has shown it. Without a token nobody is let in. */
export class Gatekeeper {
  readonly #token: string | undefined;
  readonly #cookieName: string;
  readonly #isTls: boolean;
  readonly #clock: Clock;
  readonly #onWrong: (address: string) => void;
  readonly #tries = new Map<string, { count: number; since: number }>();

  constructor(token: string | undefined, { isTls, clock = systemClock, onWrong = () => undefined }: GatekeeperOptions) {
    this.#token = token;
    this.#isTls = isTls;
    this.#clock = clock;
    this.#onWrong = onWrong;
    // Browsers take a name of this form over TLS from this very host only.
    this.#cookieName = isTls ? "__Host-amalgam" : "amalgam";
  }

  get hasToken(): boolean {
    return this.#token !== undefined;
  }

  /** What a request shows: `Authorization: Bearer`, or the cookie of {@link cookie}. */
  look(headers: IncomingHttpHeaders, address: string): Shown {
    // Nothing to compare it with: a scraper that shows one everywhere is none of those who guess.
    if (this.#token === undefined) return "none";
    const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
    if (bearer !== undefined) return this.judge(bearer, address);
    // It cannot be guessed, and one from before the token was changed is no attempt at anything.
    const session = this.#cookieIn(headers.cookie);
    return session !== undefined && equal(session, sessionOf(this.#token)) ? "right" : "none";
  }

  /** Compares in constant time, and counts what is wrong. */
  judge(shown: string, address: string): Shown {
    if (this.#isTooOften(address)) return "too often";
    if (this.#token !== undefined && equal(shown, this.#token)) return "right";
    this.#count(address);
    return "wrong";
  }

  /** A `Set-Cookie` that no script reads and no other site has sent. It holds a value made of the token, not the token. */
  get cookie(): string {
    const value = this.#token === undefined ? "" : sessionOf(this.#token);
    return `${this.#cookieName}=${value}; ${this.#attributes}; Max-Age=${sessionSeconds}`;
  }

  /** A `Set-Cookie` that takes the other back. */
  get noCookie(): string {
    return `${this.#cookieName}=; ${this.#attributes}; Max-Age=0`;
  }

  get #attributes(): string {
    return `Path=/; HttpOnly; SameSite=Strict${this.#isTls ? "; Secure" : ""}`;
  }

  #cookieIn(header: string | undefined): string | undefined {
    const prefix = `${this.#cookieName}=`;
    const found = header?.split(/; */).find((part) => part.startsWith(prefix));
    return found?.slice(prefix.length);
  }

  #isTooOften(address: string): boolean {
    const tries = this.#tries.get(address);
    if (tries === undefined || this.#clock.now() - tries.since > forgetMs) return false;
    return tries.count >= maxTries;
  }

  #count(address: string): void {
    const now = this.#clock.now();
    const before = this.#tries.get(address);
    const tries = before !== undefined && now - before.since <= forgetMs ? before : { count: 0, since: now };
    tries.count += 1;
    this.#tries.delete(address);
    this.#tries.set(address, tries);
    this.#onWrong(address);
    for (const oldest of this.#tries.keys()) {
      if (this.#tries.size <= maxAddresses) return;
      this.#tries.delete(oldest);
    }
  }
}

/** The token of `--http-token-file`: the file's text without the space around it, 16 to 1,024 visible characters. */
export function readToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    const { message } = AmalgamError.from(error);
    throw new AmalgamError("usage", `Cannot read token file ${quote(file)}: ${message}`, { cause: error });
  }
  if (text.length < minTokenLength || text.length > maxTokenLength || !/^[\x21-\x7e]+$/.test(text)) {
    throw new AmalgamError(
      "usage",
      `Cannot use the token in ${quote(file)}: it has ${text.length} characters where ${minTokenLength} to ${maxTokenLength} visible ones without spaces are wanted, as from "openssl rand -hex 32"`,
      { details: { file } },
    );
  }
  return text;
}

function sessionOf(token: string): string {
  return createHmac("sha256", token).update("amalgam http session").digest("base64url");
}

/** Over digests, which have one length whatever is shown. */
function equal(a: string, b: string): boolean {
  return timingSafeEqual(createHash("sha256").update(a).digest(), createHash("sha256").update(b).digest());
}
