import type { SourceCard } from "../source-card.js";
import { findConflicts, haveOneLicense, type Licensed, licenseId } from "./conflicts.js";
import { licenses } from "./table.js";

/** What can be said of the licence of a model that is made from others. It is information, and no legal advice. */
export interface CombinedLicense {
  /** As the Hub's front matter has it: an identifier, or `other` with a name, or `unknown`. Undefined: nobody says anything. */
  readonly license: string | undefined;
  readonly licenseName?: string | undefined;
  readonly licenseLink?: string | undefined;
  /** Not all sources have the same one. */
  readonly isMixed: boolean;
  /** Each a sentence without its end. */
  readonly conflicts: readonly string[];
  /** What who shares the result has to do, with the licence that asks for it. */
  readonly duties: readonly { readonly license: string; readonly duty: string; readonly source: string }[];
  readonly sources: readonly Licensed[];
}

/** What the plan's models say of themselves; those of a plan that was made before cards were read say nothing. */
export function licensesOf(
  models: readonly { readonly name: string; readonly cards?: readonly SourceCard[] | undefined }[],
): CombinedLicense {
  return combineLicenses(
    models.flatMap(({ name, cards }): readonly Licensed[] => cards ?? [{ name, license: undefined }]),
  );
}

/** Conservative: only what all sources have is the result's, and everything else is `other`, to be looked at. */
export function combineLicenses(sources: readonly Licensed[]): CombinedLicense {
  const ids = [...new Set(sources.map(licenseId))];
  const known = ids.filter((id) => id !== undefined);
  const facts = {
    sources,
    isMixed: !haveOneLicense(sources),
    conflicts: findConflicts(sources),
    duties: dutiesOf(known),
  };
  if (known.length === 0) return { ...facts, license: undefined };
  if (known.length < ids.length) return { ...facts, license: "unknown" };
  const [first] = sources;
  if (haveOneLicense(sources)) {
    const { license, licenseName, licenseLink } = first ?? {};
    return { ...facts, license, licenseName, licenseLink };
  }
  return { ...facts, license: "other", licenseName: known.length === 1 ? undefined : known.toSorted().join("-and-") };
}

function dutiesOf(ids: readonly string[]): CombinedLicense["duties"] {
  return ids.flatMap((license) => {
    const { duty, source } = licenses.get(license) ?? {};
    return duty === undefined || source === undefined ? [] : [{ license, duty, source }];
  });
}

/** What a plan warns of before any work is done. */
export function licenseWarnings(models: Parameters<typeof licensesOf>[0]): readonly string[] {
  return conflictWarnings(licensesOf(models));
}

export function conflictWarnings({ conflicts }: CombinedLicense): readonly string[] {
  return conflicts.map((conflict) => `Licences: ${conflict}`);
}
