import type { GraphRequest } from "../graphs/types.js";
import { type ReadRowsOptions, readRows } from "./data/read-rows.js";
import type { DataSource } from "./data/source.js";
import { type ImageProcessor, readProcessor } from "./images/processor.js";
import type { PrepareContext } from "./kinds/context.js";
import type { Subject } from "./subject.js";
import { openTextTokenizer, type TextTokenizer } from "./text/tokenizer.js";
import type { Row } from "./types.js";

/** What will run the graphs; see {@link GraphRequest.provider}. */
export type GraphTarget = NonNullable<GraphRequest["provider"]>;

/** Rows of data, each source read once for all models and tasks. */
export class RowCache {
  readonly #rows = new Map<string, Promise<readonly Row[]>>();

  read(source: DataSource, options: ReadRowsOptions): Promise<readonly Row[]> {
    const key = JSON.stringify([source, options.limit]);
    let rows = this.#rows.get(key);
    if (rows === undefined) {
      rows = readRows(source, options);
      this.#rows.set(key, rows);
    }
    return rows;
  }
}

/** What tasks are prepared with for one model: its graphs, its tokenizer, its image processor, and everybody's rows. */
export function prepareContext(
  subject: Subject,
  rows: RowCache,
  provider: GraphTarget,
  signal: AbortSignal | undefined,
): PrepareContext {
  const { directory, config } = subject.checkpoint;
  let tokenizer: Promise<TextTokenizer> | undefined;
  let images: Promise<ImageProcessor> | undefined;
  return {
    directory,
    config,
    signal,
    graphs: (needs) => subject.graphsFor({ ...needs, provider }),
    tokenizer: () => {
      tokenizer ??= openTextTokenizer(directory);
      return tokenizer;
    },
    images: () => {
      images ??= readProcessor(directory);
      return images;
    },
    readRows: (source, options) => rows.read(source, options),
  };
}
