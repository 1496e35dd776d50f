import { headerError } from "./header-limits.js";

/** Files that come with the name of a safetensors file and are something else, known by how they start. */
const foreign: readonly { readonly start: string; readonly advice: string }[] = [
  {
    start: "version https://git-lfs.github.com/spec/",
    advice: 'the file is a Git LFS pointer and the tensors were not downloaded; run "git lfs pull" where it was cloned',
  },
  { start: "<!doctype html", advice: "the file is a web page, probably a failed download; download it again" },
  { start: "<html", advice: "the file is a web page, probably a failed download; download it again" },
  { start: "GGUF", advice: "the file is in GGUF format; only safetensors files can be read" },
  { start: "PK\u0003\u0004", advice: "the file is a zip archive or a PyTorch pickle; convert it to safetensors first" },
  { start: "\u0080\u0002", advice: "the file is a Python pickle; convert it to safetensors first" },
];

const longestStart = Math.max(...foreign.map(({ start }) => start.length));

/**
 * Checks that the first bytes of a file are not those of another well-known format. Without this the first eight of them
 * are taken for a length, and the error would speak of a header of 10^18 bytes.
 */
export function assertNotForeign(first: Uint8Array, file: string): void {
  const text = Buffer.from(first.subarray(0, longestStart)).toString("latin1").toLowerCase();
  const found = foreign.find(({ start }) => text.startsWith(start.toLowerCase()));
  if (found !== undefined) throw headerError(file, found.advice);
}
