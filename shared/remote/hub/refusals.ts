import type { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import type { Reply } from "../http/client.js";
import { refusal, wordsOf } from "../http/status.js";
import type { HubAddress } from "../hub-address.js";
import type { HubSession } from "./session.js";

export interface Asked {
  readonly url: string;
  readonly hub: HubAddress;
  readonly session: HubSession;
}

const tokenRemedy = "set HF_TOKEN to a token of an account that may read it";

/**
 * Why the Hub does not let us have something and what to do, undefined where it does. A model that is not there and one
 * that is hidden from us look alike: the Hub tells strangers neither.
 */
export function hubRefusal({ url, hub, session }: Asked, { status, headers }: Reply): AmalgamError | undefined {
  const { endpoint, tokenPlace } = session;
  const code = headers.get("x-error-code");
  const said = headers.get("x-error-message") ?? "";
  const model = `${hub.owner}/${hub.name}`;
  // Of a public model, too.
  if (status === 401 && tokenPlace !== undefined && /invalid credentials/i.test(said)) {
    return refusal(url, `the Hub knows no such token as that of ${tokenPlace}: put a valid one there, or take it away`);
  }
  const page = quote(`${endpoint}/${model}`);
  if (code === "GatedRepo") {
    const remedy =
      tokenPlace === undefined
        ? `accept its licence at ${page}, and ${tokenRemedy}`
        : `accept its licence at ${page} with the account that the token of ${tokenPlace} is of`;
    return refusal(url, `model ${quote(model)} is gated: ${remedy}`);
  }
  if (status === 403) {
    const why = said === "" ? "" : `, and says: ${quote(wordsOf(said))}`;
    return refusal(url, `the Hub does not let us have model ${quote(model)} (403)${why}; see ${page}`);
  }
  if (code === "RevisionNotFound") {
    return refusal(url, `model ${quote(model)} has no revision ${quote(hub.revision ?? "main")}`);
  }
  if (code === "EntryNotFound") return refusal(url, `model ${quote(model)} has no such file`);
  if (status !== 401 && status !== 404) return undefined;
  const remedy =
    tokenPlace === undefined
      ? `check its name; if it is private, ${tokenRemedy}`
      : `check its name, and whether the token of ${tokenPlace} is valid and may read it`;
  return refusal(url, `the Hub knows no model ${quote(model)}, or hides it: ${remedy}`);
}
