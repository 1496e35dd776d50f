import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { kernelsVersion, packageVersion } from "../../../shared/rpc/version.js";
import { type Manifest, recipeFacts } from "../../assemble/manifest.js";

/**
 * What may make the bytes others though the models are the same, each a sentence. Another arithmetic is refused with
 * `usage` unless `force`; so is a recipe that is not the one whose digest the manifest has.
 */
export function checkVersions(
  { madeWith, recipe }: Manifest,
  { force }: { readonly force: boolean },
  own = { amalgam: packageVersion(), kernels: kernelsVersion },
): readonly string[] {
  if (recipeFacts(recipe.text).sha256 !== recipe.sha256) {
    throw new AmalgamError("checkpoint_malformed", "Cannot reproduce it: the manifest's recipe was changed");
  }
  const warnings: string[] = [];
  const { kernels, amalgam } = madeWith;
  if (kernels !== undefined && kernels !== own.kernels) {
    const problem = `it was made with kernels ${quote(kernels)}, and these are ${quote(own.kernels)}`;
    if (!force) {
      throw new AmalgamError(
        "usage",
        `Cannot reproduce it: ${problem}, so bits may differ; take Amalgam ${quote(amalgam)}, or try with --force`,
      );
    }
    warnings.push(`Bits may differ: ${problem}`);
  }
  if (amalgam !== own.amalgam) {
    warnings.push(`It was made with Amalgam ${quote(amalgam)}, and this is ${quote(own.amalgam)}`);
  }
  if (kernels === undefined) warnings.push("The manifest does not say with which kernels it was made");
  return warnings;
}
