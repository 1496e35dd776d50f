import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote, quoteList } from "../../../shared/quote.js";
import { plannedFiles } from "../../assemble/manifest.js";
import type { OpenModel } from "../../plan/open-models.js";
import type { Plan } from "../../plan/types.js";
import type { SourceFacts } from "../facts.js";
import { decidesBytes, describeSmall } from "../source-facts.js";

/**
 * What is different about sources, each a sentence that names model and file. Headers and small files are compared; that
 * weights behind an equal header are others only shows in what is made of them.
 */
export function findChanges(expected: readonly SourceFacts[], found: readonly SourceFacts[]): readonly string[] {
  return found.flatMap((source) => {
    const before = expected.find(({ name }) => name === source.name);
    if (before === undefined) return [`The manifest does not say what ${quote(source.name)} was`];
    return [...compareFiles(before, source), ...compareSmall(before, source)].map((change) => {
      return `Model ${quote(source.name)} is another: ${change}`;
    });
  });
}

function compareFiles(before: SourceFacts, now: SourceFacts): readonly string[] {
  const missing = before.files.filter(({ name }) => !now.files.some((file) => file.name === name));
  const extra = now.files.filter(({ name }) => !before.files.some((file) => file.name === name));
  const changes = before.files.flatMap((file) => {
    const other = now.files.find(({ name }) => name === file.name);
    if (other === undefined) return [];
    if (other.bytes !== file.bytes) {
      return [`${quote(file.name)} has ${formatCount(other.bytes)} bytes and had ${formatCount(file.bytes)}`];
    }
    if (other.headerSha256 !== file.headerSha256) return [`the header of ${quote(file.name)} was changed`];
    return [];
  });
  const names = (files: SourceFacts["files"]): string => quoteList(files.map(({ name }) => name));
  return [
    ...(missing.length === 0 ? [] : [`it has no ${names(missing)} any more`]),
    ...(extra.length === 0 ? [] : [`it has ${names(extra)} besides`]),
    ...changes,
  ];
}

function compareSmall({ small: before = [] }: SourceFacts, { small: now = [] }: SourceFacts): readonly string[] {
  const known = before.filter(({ name }) => decidesBytes(name));
  return known.flatMap((file) => {
    const other = now.find(({ name }) => name === file.name);
    if (other === undefined) return [`it has no ${quote(file.name)} any more`];
    if (other.sha256 === file.sha256) return [];
    return [`${quote(file.name)} was changed: its SHA-256 is ${other.sha256} and was ${file.sha256}`];
  });
}

/** Fails with `checkpoint_changed`, and a line for each change, unless there is none. */
export function assertUnchanged(expected: readonly SourceFacts[], found: readonly SourceFacts[]): void {
  assertNone(findChanges(expected, found));
}

/** The same where a server says that a file is in another state by now, though its header is the same. */
export function assertSameVersions(expected: readonly SourceFacts[], plan: Plan): void {
  const changes = plan.models.flatMap((model, place) => {
    const before = expected.find(({ name }) => name === model.name)?.files ?? [];
    return plannedFiles(plan, place).flatMap(({ name, version }) => {
      const known = before.find((file) => file.name === name)?.version;
      if (version === undefined || known === undefined || version === known) return [];
      const file = `${quote(name)} of model ${quote(model.name)}`;
      return [`The server has another version of ${file}: ${quote(version)} instead of ${quote(known)}`];
    });
  });
  assertNone(changes);
}

function assertNone(changes: readonly string[]): void {
  if (changes.length === 0) return;
  const shown = changes.slice(0, maxShown);
  const rest = changes.length - shown.length;
  if (rest > 0) shown.push(`And ${formatCount(rest)} more changes`);
  throw new AmalgamError("checkpoint_changed", `Cannot reproduce it from these models\n${shown.join("\n")}`);
}

const maxShown = 20;

/** Opened models as a manifest describes them, with those small files that it knows. */
export function describeOpened(
  models: readonly OpenModel[],
  expected: readonly SourceFacts[],
): Promise<readonly SourceFacts[]> {
  return Promise.all(
    models.map(async ({ name, checkpoint, adapter }) => {
      const files = [...checkpoint.files, ...(adapter?.adapter.checkpoint.files ?? [])];
      const small = expected.find((source) => source.name === name)?.small ?? [];
      const folders = { directory: checkpoint.directory, adapterDirectory: adapter?.adapter.directory };
      return {
        name,
        files: files.map(({ name, bytes, headerSha256 }) => ({ name, bytes, headerSha256 })),
        small: await describeSmall(
          folders,
          small.map((file) => file.name),
        ),
      };
    }),
  );
}
