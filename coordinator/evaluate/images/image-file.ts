import { readFile, stat } from "node:fs/promises";
import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { maxImageBytes } from "./limits.js";

/** An image file: its path, or what it holds and where that is from, `x.parquet, row 7`. */
export type ImageFile = string | { readonly bytes: Uint8Array; readonly place: string };

/** The file's bytes. Throws `checkpoint_malformed` for one that is missing, no file or past the limit. */
export async function bytesOf(image: ImageFile): Promise<Uint8Array> {
  if (typeof image === "string") return readFrom(image);
  assertSize(image, image.bytes.length);
  return image.bytes;
}

async function readFrom(path: string): Promise<Uint8Array> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw imageError("read", path, "it is not a file");
    assertSize(path, found.size);
    return await readFile(path);
  } catch (error) {
    if (error instanceof AmalgamError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw imageError("read", path, "it does not exist", error);
    throw AmalgamError.from(error);
  }
}

function assertSize(image: ImageFile, bytes: number): void {
  if (bytes <= maxImageBytes) return;
  throw imageError("read", image, `it has ${formatBytes(bytes)}, more than ${formatBytes(maxImageBytes)}`);
}

/** The error for an image that cannot be read or used; it names the file, or the row that holds it. */
export function imageError(act: "read" | "use", image: ImageFile, problem: string, cause?: unknown): AmalgamError {
  const [subject, details] =
    typeof image === "string"
      ? [`image ${quote(image)}`, { file: image }]
      : [`the image in ${image.place}`, { place: image.place }];
  return new AmalgamError("checkpoint_malformed", `Cannot ${act} ${subject}: ${problem}`, { cause, details });
}
