import { isOffline } from "../../shared/remote/hub/settings.js";
import type { RemoteOptions } from "../../shared/remote/remote-store.js";
import type { RemoteMirrorOptions } from "./mirror-remote.js";

/** A name that may be a path is not worth waiting for. */
export const guessing = { patience: { tries: 2 } } as const;

export interface RemoteAccessOptions {
  /** Whoever reads the models sees this machine's files, so that copies in the Hub's cache will do. */
  readonly mayUseCache: boolean;
  /** @default process.env */
  readonly env?: RemoteOptions["env"] | undefined;
  /** @default anywhere */
  readonly reach?: RemoteOptions["reach"];
}

/** The ways to models on servers. What they need is loaded when there is such a model. */
export function remoteAccess({
  mayUseCache,
  env = process.env,
  reach,
}: RemoteAccessOptions): Pick<RemoteMirrorOptions, "openStore" | "cache" | "isOffline"> {
  return {
    openStore: async (kind) => {
      const { openRemoteStore } = await import("../../shared/remote/open.js");
      return openRemoteStore({ env, reach, ...(kind === "guess" && guessing) });
    },
    cache: mayUseCache
      ? async (url) => (await import("../../shared/remote/hub/cache.js")).findInHubCache(url, env)
      : undefined,
    isOffline: isOffline(env),
  };
}
