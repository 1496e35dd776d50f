import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { isLoopbackHost, shown } from "../url.js";

// What the Hub's own tools read from the environment, so that what is set up for them holds here:
// https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables

type Env = Readonly<Record<string, string | undefined>>;

const defaultEndpoint = "https://huggingface.co";

/** Where the Hub is, without a slash at the end: `HF_ENDPOINT`, or the Hub itself. */
export function hubEndpoint(env: Env): string {
  const given = env["HF_ENDPOINT"] || defaultEndpoint;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (url === undefined || !isSafe || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new AmalgamError("usage", `Cannot use HF_ENDPOINT ${quote(shown(given))}: it is no "https://" address`);
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Whether the user wants nothing asked of the Hub. */
export function isOffline(env: Env): boolean {
  return isSet(env["HF_HUB_OFFLINE"] || env["TRANSFORMERS_OFFLINE"]);
}

export interface HubToken {
  readonly text: string;
  /** The variable or the file that has it, as it may be printed. */
  readonly place: string;
}

/** The user's token; undefined: there is none, or it is not to be used. */
export async function hubToken(env: Env): Promise<HubToken | undefined> {
  const given = env["HF_TOKEN"] || env["HUGGING_FACE_HUB_TOKEN"];
  const isStored = given === undefined && !isSet(env["HF_HUB_DISABLE_IMPLICIT_TOKEN"]);
  const path = env["HF_TOKEN_PATH"] ? expandHome(env["HF_TOKEN_PATH"], env) : join(hubHome(env), "token");
  const text = (isStored ? await readFile(path, "utf8").catch(() => "") : (given ?? "")).trim();
  if (text === "") return undefined;
  const place = isStored ? quote(path) : env["HF_TOKEN"] ? "HF_TOKEN" : "HUGGING_FACE_HUB_TOKEN";
  if (/^[\x21-\x7e]{1,4096}$/.test(text)) return { text, place };
  throw new AmalgamError(
    "usage",
    `Cannot use the token of ${place}: it has spaces or other characters that no token has`,
  );
}

/** Where the Hub's tools keep what they downloaded: an absolute path, since it is named where other folders are current. */
export function hubCacheDirectory(env: Env): string {
  const given = env["HF_HUB_CACHE"] || env["HUGGINGFACE_HUB_CACHE"];
  return resolve(given ? expandHome(given, env) : join(hubHome(env), "hub"));
}

function hubHome(env: Env): string {
  const given = env["HF_HOME"];
  if (given) return expandHome(given, env);
  return join(env["XDG_CACHE_HOME"] || join(home(env), ".cache"), "huggingface");
}

function expandHome(path: string, env: Env): string {
  return path.replace(/^~(?=\/|$)/, home(env));
}

function home(env: Env): string {
  return env["HOME"] || homedir();
}

function isSet(value: string | undefined): boolean {
  return /^(?:1|on|yes|true)$/i.test(value ?? "");
}
