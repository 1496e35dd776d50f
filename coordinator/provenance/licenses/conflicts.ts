import { quote, quoteList } from "../../../shared/quote.js";
import { excludes, goTogether, type License, licenses } from "./table.js";

/** A source and what its licence is called; without one, its card says nothing. */
export interface Licensed {
  readonly name: string;
  readonly license?: string | undefined;
  readonly licenseName?: string | undefined;
  readonly licenseLink?: string | undefined;
}

/** `other` and a name are one licence, in one word; `unknown` says nothing. */
export function licenseId({ license, licenseName }: Licensed): string | undefined {
  if (license === "unknown") return undefined;
  if (license !== "other" || licenseName === undefined) return license;
  const name = licenseName.toLowerCase().replace(/\s+/g, "-");
  // Llama's licences are `llama3.1` on the Hub's list, and `other` in cards that are older than it.
  return licenses.has(name) ? name : name.replace(/^llama-?(\d)/, "llama$1");
}

/** Whether all sources have one licence. Two that are `other` and have no name may be any two. */
export function haveOneLicense(sources: readonly Licensed[]): boolean {
  const ids = new Set(sources.map(licenseId));
  return ids.size <= 1 && (sources.length <= 1 || !ids.has("other"));
}

/**
 * Who conflicts with whom and why, each a sentence. What a licence forbids whatever it is joined with comes first, then
 * what two of them ask that cannot both be met, then what is not known.
 */
export function findConflicts(sources: readonly Licensed[]): readonly string[] {
  const known = sources.flatMap((source) => {
    const terms = licenses.get(licenseId(source) ?? "");
    return terms === undefined ? [] : [{ source, terms }];
  });
  const silent = sources.filter((source) => licenseId(source) === undefined).map(({ name }) => name);
  if (silent.length === sources.length) return [];
  const unknown = sources.filter((source) => licenseId(source) !== undefined && !isKnown(source));
  return [
    ...known.flatMap(({ source, terms }) => alone(source, terms)),
    ...pairs(known).flatMap(([a, b]) => together(a, b)),
    ...(haveOneLicense(sources)
      ? []
      : unknown.map((source) => `The terms of ${named(source)} are not known to Amalgam: read them`)),
    ...(silent.length === 0 ? [] : [`Nothing says under which licence these are: ${quoteList(silent)}`]),
  ];
}

interface Known {
  readonly source: Licensed;
  readonly terms: License;
}

function alone(source: Licensed, { kind }: License): readonly string[] {
  if (kind !== "no-derivatives") return [];
  return [`${named(source)} lets nobody share what is made of it, and a merge is made of it`];
}

/** One pair of sources for each pair of licences: the first that have them. */
function pairs(known: readonly Known[]): readonly (readonly [Known, Known])[] {
  const firsts = known.filter((one, i) => known.findIndex(({ terms }) => terms.id === one.terms.id) === i);
  return firsts.flatMap((a, i) => firsts.slice(i + 1).map((b) => [a, b] as const));
}

function together(a: Known, b: Known): readonly string[] {
  const found = [
    improving(a, b) ?? improving(b, a),
    nonCommercial(a, b) ?? nonCommercial(b, a),
    copyleft(a, b) ?? copyleft(b, a),
    both("restricted", a, b),
  ];
  return found.filter((conflict) => conflict !== undefined);
}

function improving(a: Known, b: Known): string | undefined {
  const { improvesOnly } = a.terms;
  if (improvesOnly === undefined || b.terms.id.startsWith(improvesOnly)) return undefined;
  return `${named(a.source)} may not be used to improve other models than its own kind, and ${named(b.source)} is another`;
}

function nonCommercial(a: Known, b: Known): string | undefined {
  if (a.terms.kind !== "non-commercial" || b.terms.kind === "non-commercial") return undefined;
  return `${named(a.source)} forbids commercial use, and so does the merge, whatever ${named(b.source)} allows`;
}

function copyleft(a: Known, b: Known): string | undefined {
  if (!isCopyleft(a.terms)) return undefined;
  const wants = `${named(a.source)} wants the merge shared under its own licence`;
  if (isCopyleft(b.terms)) {
    return goTogether(a.terms.id, b.terms.id) ? undefined : `${wants}, and ${named(b.source)} under another`;
  }
  if (excludes(a.terms.id, b.terms.id)) return `${wants}, with which the terms of ${named(b.source)} do not go`;
  if (b.terms.kind === "permissive" || b.terms.kind === a.terms.kind) {
    return `${wants}, also what comes from ${named(b.source)}`;
  }
  return `${wants} without further restrictions, and ${named(b.source)} has some`;
}

function isCopyleft({ kind, isShareAlike }: License): boolean {
  return kind === "copyleft" || isShareAlike === true;
}

function both(kind: License["kind"], a: Known, b: Known): string | undefined {
  if (a.terms.kind !== kind || b.terms.kind !== kind) return undefined;
  return `${named(a.source)} and ${named(b.source)} have terms of use of their own, and the merge is under both`;
}

function isKnown(source: Licensed): boolean {
  return licenses.has(licenseId(source) ?? "");
}

function named(source: Licensed): string {
  return `${quote(source.name)} (${licenseId(source) ?? "unknown"})`;
}
