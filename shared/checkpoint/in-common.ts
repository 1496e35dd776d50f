import type { Contents } from "./checkpoint.js";
import { StringTable } from "./string-table.js";

/**
 * What checkpoints that are opened one after the other have in common, read once and held once. Fine-tunes of one base
 * are mostly saved alike, to the last byte of their index and headers; and where they are not, they have the same names.
 */
export class InCommon {
  readonly strings = new StringTable();
  readonly #opened: { readonly contents: Contents; readonly indexSha256: string | undefined }[] = [];

  /** Those with this index, which may have the same headers too. Undefined: those of one file, without an index. */
  withIndex(indexSha256: string | undefined): readonly Contents[] {
    return this.#opened.filter((other) => other.indexSha256 === indexSha256).map(({ contents }) => contents);
  }

  add(contents: Contents, indexSha256: string | undefined): void {
    this.#opened.push({ contents, indexSha256 });
  }
}
