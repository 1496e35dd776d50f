import { signatureName } from "../provenance/signing/sign.js";
import { type Manifest, manifestName } from "./manifest.js";
import { cardName } from "./model-card.js";

/** The names of all files that an output with this manifest may have of ours. Whatever else lies there is somebody's. */
export function writtenFiles({ weights, companions }: Pick<Manifest, "weights" | "companions">): ReadonlySet<string> {
  return new Set([...[...weights, ...companions].map(({ name }) => name), cardName, signatureName, manifestName]);
}
