import { centerCrop } from "./crop.js";
import type { Processing, Size } from "./processing.js";
import { type Picture, resize } from "./resize.js";

/** The size that a picture is resized to. */
export function resizedSize(picture: Size, wanted: Processing["resize"]): Size {
  if (wanted === undefined) return picture;
  if (!("shortestEdge" in wanted)) return wanted;
  const { height, width } = picture;
  const { shortestEdge } = wanted;
  // The product comes first, as in transformers: the order decides about the last pixel.
  const longest = Math.trunc((shortestEdge * Math.max(height, width)) / Math.min(height, width));
  return width <= height ? { height: longest, width: shortestEdge } : { height: shortestEdge, width: longest };
}

/** Resizes and crops, and puts channels first: [channels, height, width]. */
export function processPicture(picture: Picture, processing: Processing): Uint8Array {
  const { height, width } = resizedSize(picture, processing.resize);
  const resized = resize(picture, width, height, processing.filter);
  const { crop } = processing;
  return channelsFirst(crop === undefined ? resized : centerCrop(resized, crop.width, crop.height));
}

function channelsFirst({ width, height, channels, pixels }: Picture): Uint8Array {
  const area = width * height;
  const planes = new Uint8Array(channels * area);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < area; i++) planes[c * area + i] = pixels[i * channels + c] ?? 0;
  }
  return planes;
}
