import { dirname } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { SourcePlace } from "../dispatch/request.js";
import type { Plan } from "../plan/types.js";
import type { ServerFile, ServerMirror } from "./server-folder.js";

/** Where agents find what was mirrored of servers: a copy on this machine, or else its URL. */
export function serverPlaces(mirrors: readonly ServerMirror[]): ReadonlyMap<string, SourcePlace> {
  const places = new Map<string, SourcePlace>();
  for (const [path, { copy, url, version }] of mirrors.flatMap(({ files }) => [...files])) {
    places.set(path, copy ?? { path: url, modifiedMs: 0, version });
  }
  return places;
}

/**
 * A plan over mirrors, with the servers that its models are from. They are not in its digest: the same files make the same
 * plan, wherever they are. A failure to plan names servers and no mirrors.
 */
export async function withOrigins(plan: () => Promise<Plan>, mirrors: readonly ServerMirror[]): Promise<Plan> {
  if (mirrors.length === 0) return plan();
  try {
    return addOrigins(await plan(), mirrors);
  } catch (reason) {
    throw reason instanceof AmalgamError ? ofServers(reason, mirrors) : reason;
  }
}

function addOrigins(plan: Plan, mirrors: readonly ServerMirror[]): Plan {
  const origins = new Map(mirrors.map(({ directory, pin }) => [directory, pin.found]));
  const files = new Map<string, ServerFile>(mirrors.flatMap((mirror) => [...mirror.files]));
  return {
    ...plan,
    models: plan.models.map((model) => {
      const origin = origins.get(model.directory);
      return origin === undefined ? model : { ...model, origin };
    }),
    sources: plan.sources.map((source) => {
      const file = files.get(source.path);
      if (file !== undefined) return { ...source, remote: { url: file.url, version: file.version } };
      // A hole would be merged.
      if (origins.has(dirname(source.path)))
        throw new AmalgamError("internal", `${quote(source.path)} is on no server`);
      return source;
    }),
  };
}

function ofServers(error: AmalgamError, mirrors: readonly ServerMirror[]): AmalgamError {
  const { code, details } = error;
  const message = mirrors.reduce((text, { directory, pin }) => text.replaceAll(directory, pin.found), error.message);
  return message === error.message ? error : new AmalgamError(code, message, { cause: error, details });
}
