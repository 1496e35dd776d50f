/**
 * What a licence asks of a model that is made from several, as far as it decides whether they go together.
 *
 * - `permissive`: keep the notices; anything may be made of it, under any terms.
 * - `copyleft`: what is made of it is passed on under the same licence, without further restrictions.
 * - `restricted`: open to all, with terms on use that must be passed on (RAIL, communities' agreements).
 * - `non-commercial`: as it says; what is made of it is no freer, and with `isShareAlike` under the same licence.
 * - `no-derivatives`: what is made of it may not be shared.
 */
export type LicenseKind = "permissive" | "copyleft" | "restricted" | "non-commercial" | "no-derivatives";

export interface License {
  /** The Hub's identifier. */
  readonly id: string;
  readonly kind: LicenseKind;
  /** Not commercial, and copyleft besides. */
  readonly isShareAlike?: boolean;
  /** What else somebody who shares the result has to do, as a sentence without its end. */
  readonly duty?: string;
  /** It may not be used to improve models other than those under a licence whose identifier begins so. */
  readonly improvesOnly?: string;
  /** Where its terms are. */
  readonly source: string;
}

const spdx = "https://spdx.org/licenses/";
const creativeCommons = "https://creativecommons.org/licenses/";

function allOf(kind: LicenseKind, source: string, ...ids: readonly string[]): readonly License[] {
  return ids.map((id) => ({ id, kind, source }));
}

/** Llama 3 to 4: section 1.b.i and 1.b.iii of their agreements. Llama 3 has longer names than those after it. */
function llama(id: string, source: string, [built, prefix] = ["Llama", "Llama"]): License {
  const names = `display "Built with ${built}", begin the result's name with "${prefix}"`;
  const duty = `${names}, and pass on the agreement, its notice and its acceptable use policy`;
  return { id, kind: "restricted", duty, source };
}

/**
 * The licences of the Hub's list (huggingface.co/docs/hub/repositories-licenses) whose terms are plain enough for a table.
 * One that is not here counts as one whose terms we do not know.
 */
const all: readonly License[] = [
  ...allOf("permissive", spdx, "apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc"),
  ...allOf("permissive", spdx, "zlib", "bsl-1.0", "ncsa", "postgresql", "unlicense", "wtfpl", "pddl", "cc0-1.0"),
  ...allOf(
    "permissive",
    spdx,
    "ecl-2.0",
    "afl-3.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "odc-by",
    "etalab-2.0",
  ),
  ...allOf("permissive", creativeCommons, "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
  ...allOf("copyleft", spdx, "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "mpl-2.0"),
  ...allOf("copyleft", spdx, "epl-1.0", "epl-2.0", "eupl-1.1", "osl-3.0", "odbl", "cdla-sharing-1.0", "gfdl", "ms-pl"),
  ...allOf("copyleft", creativeCommons, "cc-by-sa-3.0", "cc-by-sa-4.0"),
  ...allOf("non-commercial", creativeCommons, "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
  ...allOf("non-commercial", creativeCommons, "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0").map(
    (license) => {
      return { ...license, isShareAlike: true };
    },
  ),
  ...allOf("no-derivatives", creativeCommons, "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
  ...allOf("restricted", "https://www.licenses.ai/", "openrail", "openrail++", "creativeml-openrail-m"),
  ...allOf("restricted", "https://huggingface.co/spaces/bigscience/license", "bigscience-openrail-m"),
  ...allOf("restricted", "https://huggingface.co/spaces/bigscience/license", "bigscience-bloom-rail-1.0"),
  ...allOf("restricted", "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement", "bigcode-openrail-m"),
  {
    id: "llama2",
    kind: "restricted",
    duty: "pass on the agreement, its acceptable use policy and its notice",
    // Section 1.b.v; Llama 3.1 has it no more.
    improvesOnly: "llama2",
    source: "https://ai.meta.com/llama/license/",
  },
  {
    ...llama("llama3", "https://www.llama.com/llama3/license/", ["Meta Llama 3", "Llama 3"]),
    // Section 1.b.v; what counts as Llama 3's kind is not said, and later ones are taken for it.
    improvesOnly: "llama3",
  },
  llama("llama3.1", "https://www.llama.com/llama3_1/license/"),
  llama("llama3.2", "https://www.llama.com/llama3_2/license/"),
  llama("llama3.3", "https://www.llama.com/llama3_3/license/"),
  llama("llama4", "https://www.llama.com/llama4/license/"),
  {
    id: "gemma",
    kind: "restricted",
    duty: "pass on the Gemma Terms of Use with their restrictions, and say in a NOTICE file that they apply",
    // Section 3.1.
    source: "https://ai.google.dev/gemma/terms",
  },
];

export const licenses: ReadonlyMap<string, License> = new Map(all.map((license) => [license.id, license]));

/**
 * Copyleft licences whose works may be passed on together under one of them: the second, which takes in the first.
 * https://www.gnu.org/licenses/license-list.html and https://creativecommons.org/compatiblelicenses
 */
const takenIn: ReadonlySet<string> = new Set([
  "lgpl-2.1 gpl-2.0",
  "lgpl-2.1 gpl-3.0",
  "lgpl-3.0 gpl-3.0",
  "lgpl-3.0 agpl-3.0",
  "gpl-3.0 agpl-3.0",
  "mpl-2.0 gpl-2.0",
  "mpl-2.0 gpl-3.0",
  "mpl-2.0 lgpl-2.1",
  "mpl-2.0 lgpl-3.0",
  "mpl-2.0 agpl-3.0",
  "cc-by-sa-3.0 cc-by-sa-4.0",
  "cc-by-sa-4.0 gpl-3.0",
  "cc-by-nc-sa-2.0 cc-by-nc-sa-3.0",
  "cc-by-nc-sa-2.0 cc-by-nc-sa-4.0",
  "cc-by-nc-sa-3.0 cc-by-nc-sa-4.0",
]);

export function goTogether(a: string, b: string): boolean {
  return a === b || takenIn.has(`${a} ${b}`) || takenIn.has(`${b} ${a}`);
}

/**
 * Permissive in general, and not to be joined with that copyleft: patent terms are further restrictions to GPL 2, and
 * those on contracts and attribution to every GPL. https://www.gnu.org/licenses/license-list.html
 */
const excluded: ReadonlySet<string> = new Set([
  ...["apache-2.0", "ecl-2.0"].flatMap((id) => [`gpl-2.0 ${id}`, `lgpl-2.1 ${id}`]),
  ...["gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0"].map((id) => `${id} afl-3.0`),
]);

export function excludes(copyleft: string, permissive: string): boolean {
  return excluded.has(`${copyleft} ${permissive}`);
}
