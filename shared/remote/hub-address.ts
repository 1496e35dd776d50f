/** A model on a Hub, or a folder or a file in it. */
export interface HubAddress {
  readonly owner: string;
  readonly name: string;
  /** A branch, a tag, `refs/pr/N` or a commit; undefined: `main`. */
  readonly revision: string | undefined;
  /** Below the model's folder, each segment decoded. */
  readonly path: readonly string[];
}

/** The Hub's rules for the two names of a model. */
const plainName = /^[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?$/;
const revisionName = /^[A-Za-z0-9_][\w.+-]{0,254}$/;
/** The only revisions with slashes that can be told from a path. */
const specialRevision = /^refs\/(?:pr\/\d+|convert\/[\w-]+)(?=\/|$)/;
const spelling = 'it is written "hf://owner/name", "hf://owner/name@revision" or with a folder behind';

/** Full length: the only revision that never comes to mean something else. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** What stands behind `hf://`; no slash at its end. */
export function parseHubAddress(
  rest: string,
): { readonly hub: HubAddress; readonly problem?: undefined } | { readonly hub?: undefined; readonly problem: string } {
  const match = /^([^/@]+)\/([^/@]+)(?:@(.*?)|\/(.*))?$/s.exec(rest);
  const [, owner = "", name = "", behindAt, folder] = match ?? [];
  if (match === null) return { problem: spelling };
  const bad = [owner, name].find((part) => !isPlainName(part));
  if (bad !== undefined) return { problem: `"${bad}" is no name of the Hub's` };
  const revision = behindAt === undefined ? undefined : (specialRevision.exec(behindAt)?.[0] ?? behindAt.split("/")[0]);
  if (revision !== undefined && !isRevision(revision)) return { problem: `"${revision}" is no revision` };
  const below = behindAt === undefined ? (folder ?? "") : behindAt.slice((revision ?? "").length + 1);
  try {
    const path = below === "" ? [] : below.split("/").map(decodeURIComponent);
    return { hub: { owner, name, revision, path } };
  } catch {
    return { problem: `"${below}" is escaped wrongly` };
  }
}

/**
 * `hf://owner/name[@revision]` for what a recipe writes as `owner/name`; undefined where it cannot be a model's name on
 * the Hub. It may be a folder all the same.
 */
export function hubUrl(text: string, revision?: string): string | undefined {
  const { hub } = parseHubAddress(text);
  if (hub === undefined || hub.path.length > 0) return undefined;
  const at = revision ?? hub.revision;
  if (at !== undefined && !isRevision(at)) return undefined;
  return `hf://${hub.owner}/${hub.name}${at === undefined ? "" : `@${at}`}`;
}

function isPlainName(text: string): boolean {
  return plainName.test(text) && !/--|\.\.|\.git$/.test(text);
}

function isRevision(text: string): boolean {
  return !text.includes("..") && (revisionName.test(text) || specialRevision.exec(text)?.[0] === text);
}
