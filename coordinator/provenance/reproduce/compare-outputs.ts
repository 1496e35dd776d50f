import { licenseNames } from "../../../shared/checkpoint/companion-names.js";
import type { Manifest } from "../../assemble/manifest.js";
import type { FileFacts } from "../facts.js";

/** A file of either output. */
export interface ComparedFile {
  readonly name: string;
  readonly isWeights: boolean;
  readonly state: "equal" | "different" | "missing" | "extra";
  /** As the manifest says. */
  readonly expected: FileFacts | undefined;
  readonly found: FileFacts | undefined;
}

export interface Comparison {
  /** In the manifest's order, what is not in it last. */
  readonly files: readonly ComparedFile[];
  readonly isEqual: boolean;
}

/**
 * Compares what two manifests say of weights and companions, whose bytes have been hashed. Cards and the manifests
 * themselves name versions, and are left out; so are licences' texts that only one of the outputs has, since what sources'
 * cards say decides whether they are copied, and a copy of a model need not have its card.
 */
export function compareOutputs(expected: Manifest, found: Manifest): Comparison {
  const files = [
    ...compareLists(expected.weights, found.weights, true),
    ...compareLists(expected.companions, found.companions, false).filter((file) => !isTermsOfOne(file)),
  ];
  return { files, isEqual: files.every(({ state }) => state === "equal") };
}

function isTermsOfOne({ name, state }: ComparedFile): boolean {
  return (state === "missing" || state === "extra") && licenseNames.some((license) => license === name);
}

function compareLists(
  expected: readonly FileFacts[],
  found: readonly FileFacts[],
  isWeights: boolean,
): readonly ComparedFile[] {
  const byName = new Map(found.map((file) => [file.name, file]));
  const known = new Set(expected.map(({ name }) => name));
  return [
    ...expected.map((file): ComparedFile => {
      const other = byName.get(file.name);
      const state = other === undefined ? "missing" : other.sha256 === file.sha256 ? "equal" : "different";
      return { name: file.name, isWeights, state, expected: file, found: other };
    }),
    ...found
      .filter(({ name }) => !known.has(name))
      .map((file): ComparedFile => {
        return { name: file.name, isWeights, state: "extra", expected: undefined, found: file };
      }),
  ];
}
