import type { Picture } from "./resize.js";

/** What a model sees: brightness, or red, green and blue. */
export type Channels = 1 | 3;

/** Decoded pixels with 1 (gray), 3 (RGB) or 4 (CMYK) channels as Pillow's `convert("L")` and `convert("RGB")` make them. */
export function toChannels(picture: Picture, channels: Channels): Picture {
  const wanted = picture.channels === 4 ? fromCmyk(picture) : picture;
  if (wanted.channels === channels) return wanted;
  return channels === 1 ? toGray(wanted) : fromGray(wanted);
}

/** ITU-R 601-2, in whole numbers of 2⁻¹⁶. */
function toGray({ width, height, pixels }: Picture): Picture {
  const gray = new Uint8Array(width * height).map((_, i) => {
    const [r = 0, g = 0, b = 0] = pixels.subarray(3 * i, 3 * i + 3);
    return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
  });
  return { width, height, channels: 1, pixels: gray };
}

function fromGray({ width, height, pixels }: Picture): Picture {
  const rgb = new Uint8Array(3 * width * height);
  for (const [i, level] of pixels.entries()) rgb.fill(level, 3 * i, 3 * i + 3);
  return { width, height, channels: 3, pixels: rgb };
}

/** Without regard to inks: (1 − c)(1 − k). */
function fromCmyk({ width, height, pixels }: Picture): Picture {
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) {
    const light = 255 - (pixels[4 * i + 3] ?? 0);
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = light - divideBy255((pixels[4 * i + c] ?? 0) * light);
  }
  return { width, height, channels: 3, pixels: rgb };
}

/** Rounded, exact for products of two bytes. */
function divideBy255(product: number): number {
  const raised = product + 128;
  return ((raised >> 8) + raised) >> 8;
}
