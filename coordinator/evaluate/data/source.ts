/** How rows are written down; docs/evaluation.md has a section for each. */
export type DataFormat = "jsonl" | "csv" | "tsv" | "parquet" | "safetensors" | "images";

/** Files that hold rows, one after the other, all in one format. Or, of `images`, folders. */
export interface DataSource {
  /** At least one. Relative ones are already resolved against the task file. */
  readonly paths: readonly string[];
  readonly format: DataFormat;
}

const formatOfExtension: Readonly<Record<string, DataFormat>> = {
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".csv": "csv",
  ".tsv": "tsv",
  ".parquet": "parquet",
  ".safetensors": "safetensors",
};

export const dataFormats: readonly DataFormat[] = ["jsonl", "csv", "tsv", "parquet", "safetensors", "images"];

export const knownExtensions: readonly string[] = Object.keys(formatOfExtension);

/** The format that a file's name speaks for, in upper or lower case. */
export function formatOf(path: string): DataFormat | undefined {
  const extension = /\.[^./\\]+$/.exec(path)?.[0].toLowerCase() ?? "";
  return formatOfExtension[extension];
}
