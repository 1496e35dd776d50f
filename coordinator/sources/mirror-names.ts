import { setMaxListeners } from "node:events";
import { mkdir, realpath } from "node:fs/promises";
import type { Complaints } from "../recipe/complaints.js";
import type { Located, ModelReference } from "../recipe/recipe.js";
import { forRemoteNames } from "./for-remote-names.js";
import { type FindOptions, findModel } from "./found-model.js";
import { type Pin, type Pins, readPins, writePins } from "./pins.js";
import type { RemoteName } from "./remote-names.js";
import { mirrorServerFolder, type ServerMirror } from "./server-folder.js";

export interface RemoteMirrorOptions extends Omit<FindOptions, "store"> {
  /** Opened when there is a model on a server. A guess may be wrong, and is not worth waiting for. */
  readonly openStore: (kind: "sure" | "guess") => Promise<FindOptions["store"]>;
  /** Where mirrors go; the same for every attempt at a job. */
  readonly directory: string;
  /** An earlier run of the job has done work: the models are those that it began with, or the job cannot go on. */
  readonly isBegun: boolean;
  /** Whoever fails is going to try again, where that may help: what was mirrored stays for it. @default false */
  readonly isTriedAgain?: boolean;
}

/** Models found and mirrored at once. */
const concurrency = 4;

/** Mirrors the models that go by these names, one or more; see `mirrorRemoteModels()`. */
export async function mirrorNames(
  names: ReadonlyMap<string, RemoteName>,
  references: readonly Located<ModelReference>[],
  complaints: Complaints,
  options: RemoteMirrorOptions & { readonly file: string },
): Promise<ReadonlyMap<string, ServerMirror>> {
  const { file, isOffline } = options;
  // Every read listens.
  if (options.signal !== undefined) setMaxListeners(0, options.signal);
  await mkdir(options.directory, { recursive: true });
  const directory = await realpath(options.directory);
  const pins = options.isBegun ? await readPins(directory) : new Map<string, Pin>();
  const [store, guessing] = await Promise.all([options.openStore("sure"), options.openStore("guess")]);
  try {
    const mirrors = await forRemoteNames({ file, references, names, concurrency, isOffline }, complaints, (name) => {
      // What was found once is no guess.
      const finder = name.notHere === undefined || pins.has(name.url) ? store : guessing;
      return mirrorOne(name, pins, { ...options, store, finder, directory });
    });
    // One model may be named twice, with a revision and without.
    await writePins(directory, new Map([...mirrors.values()].map(({ pin }) => [pin.url, pin])).values());
    return mirrors;
  } finally {
    await Promise.all([store.close(), guessing.close()]);
  }
}

async function mirrorOne(
  { url }: RemoteName,
  pins: Pins,
  options: FindOptions & { readonly finder: FindOptions["store"]; readonly directory: string },
): Promise<ServerMirror> {
  const pin = pins.get(url);
  const { store, finder, signal, directory } = options;
  const found = await findModel(pin?.found ?? url, { ...options, store: finder });
  const mirror = await mirrorServerFolder({ url, found, pin, store, signal, directory });
  return pin?.license === undefined ? mirror : { ...mirror, pin: { ...mirror.pin, license: pin.license } };
}
