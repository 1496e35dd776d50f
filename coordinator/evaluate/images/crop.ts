import type { Picture } from "./resize.js";

/**
 * The middle of a picture, as transformers' `center_crop`: where the picture is too small, black is around it. Of an odd
 * pixel the lower and right side gets more when cutting, and when adding, the upper and left.
 */
export function centerCrop(picture: Picture, width: number, height: number): Picture {
  const { channels } = picture;
  const pixels = new Uint8Array(width * height * channels);
  const [left, top] = [Math.floor((picture.width - width) / 2), Math.floor((picture.height - height) / 2)];
  const [from, to] = [Math.max(0, left), Math.min(picture.width, left + width)];
  for (let y = Math.max(0, top); y < Math.min(picture.height, top + height); y++) {
    const row = picture.pixels.subarray((y * picture.width + from) * channels, (y * picture.width + to) * channels);
    pixels.set(row, ((y - top) * width + (from - left)) * channels);
  }
  return { width, height, channels, pixels };
}
