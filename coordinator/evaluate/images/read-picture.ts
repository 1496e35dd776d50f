import sharp from "sharp";
import { AmalgamError } from "../../../shared/errors.js";
import { formatCount } from "../../../shared/quote.js";
import { type Channels, toChannels } from "./colour.js";
import { bytesOf, type ImageFile, imageError } from "./image-file.js";
import { maxImagePixels, maxImageSide } from "./limits.js";
import type { Picture } from "./resize.js";

/**
 * Decodes a PNG, JPEG or WebP to what Pillow's `open` and `convert` give: 8 bits a channel, alpha dropped, EXIF's
 * orientation and colour profiles not looked at, the first picture of an animation. Of 16 bits the high byte is kept.
 * Throws `checkpoint_malformed`, which names the file or its row, for one that is missing, broken or past a limit.
 */
export async function readPicture(image: ImageFile, channels: Channels): Promise<Picture> {
  const bytes = await bytesOf(image);
  if (!isImage(bytes)) throw imageError("read", image, "it is not a PNG, JPEG or WebP");
  try {
    return toChannels(await decode(image, bytes), channels);
  } catch (error) {
    if (error instanceof AmalgamError) throw error;
    throw imageError("read", image, firstLine(error), error);
  }
}

/** By the first bytes, so that of all the decoders in the library no other one meets a file. */
function isImage(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 12)).toString("latin1");
  return head.startsWith("\x89PNG\r\n\x1a\n") || head.startsWith("\xff\xd8\xff") || /^RIFF....WEBP/s.test(head);
}

async function decode(image: ImageFile, bytes: Uint8Array): Promise<Picture> {
  const { width, height, space } = await sharp(bytes, { limitInputPixels: false }).metadata();
  if (Math.max(width, height) > maxImageSide || width * height > maxImagePixels) {
    const limits = `${formatCount(maxImageSide)} on a side and ${formatCount(maxImagePixels)} in all`;
    throw imageError(
      "read",
      image,
      `it has ${formatCount(width)} × ${formatCount(height)} pixels, the limits are ${limits}`,
    );
  }
  const decoder = sharp(bytes, { limitInputPixels: maxImagePixels, ignoreIcc: true, failOn: "error" });
  const coloured =
    space === "cmyk"
      ? decoder.pipelineColourspace("cmyk").toColourspace("cmyk")
      : decoder.removeAlpha().toColourspace("srgb");
  const { data, info } = await coloured.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels, pixels: data };
}

/** The library's complaints may go on over several lines, and end in a colon. */
function firstLine(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n", 1);
  return line.replace(/[\s:.]+$/, "");
}
