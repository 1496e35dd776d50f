import { type Filter, type Kernel, kernels } from "./filters.js";

/** Pixels of 8 bits: [height, width, channels]. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly pixels: Uint8Array;
}

/**
 * Resizes to the very bytes of Pillow's `Image.resize` (its ImagingResample for 8 bits): first rows, then columns, each
 * rounded to 8 bits; a pass whose size stays is left out. Making an image smaller widens the filter, so that every pixel
 * counts (antialiasing); `nearest` alone does not.
 */
export function resize(picture: Picture, width: number, height: number, filter: Filter): Picture {
  if (filter === "nearest") return resizeNearest(picture, width, height);
  const kernel = kernels[filter];
  const narrow = width === picture.width ? picture : resizeRows(picture, width, kernel);
  return height === picture.height ? narrow : resizeColumns(narrow, height, kernel);
}

/** Weights are whole numbers of 2⁻²²: a sum of 256 levels times weights that overshoot by half fits 32 bits. */
const precisionBits = 22;
/** Sums begin with it, so that cutting their fraction off rounds them. */
const half = 1 << (precisionBits - 1);

interface Weights {
  /** Per output pixel: the first input pixel that counts, and how many do. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** Per output pixel, `stride` apart. */
  readonly weights: Int32Array;
  readonly stride: number;
}

function weigh(inSize: number, outSize: number, { support, weigh }: Kernel): Weights {
  const scale = inSize / outSize;
  const widening = Math.max(scale, 1);
  const reach = support * widening;
  const stride = Math.ceil(reach) * 2 + 1;
  const [first, count] = [new Int32Array(outSize), new Int32Array(outSize)];
  const weights = new Int32Array(outSize * stride);
  for (let out = 0; out < outSize; out++) {
    const center = (out + 0.5) * scale;
    // Pillow converts to int, which is toward 0, and only then looks whether it is negative.
    const from = Math.max(0, Math.trunc(center - reach + 0.5));
    const to = Math.min(inSize, Math.trunc(center + reach + 0.5));
    const exact: number[] = [];
    for (let i = from; i < to; i++) exact.push(weigh((i - center + 0.5) * (1 / widening)));
    const sum = exact.reduce((total, weight) => total + weight, 0);
    first[out] = from;
    count[out] = to - from;
    for (const [i, weight] of exact.entries()) {
      const share = (sum === 0 ? weight : weight / sum) * 2 ** precisionBits;
      weights[out * stride + i] = Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    }
  }
  return { first, count, weights, stride };
}

function resizeRows({ width: inWidth, height, channels, pixels }: Picture, width: number, kernel: Kernel): Picture {
  const { first, count, weights, stride } = weigh(inWidth, width, kernel);
  const resized = new Uint8ClampedArray(height * width * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * inWidth + (first[x] ?? 0)) * channels;
      const n = count[x] ?? 0;
      for (let c = 0; c < channels; c++) {
        let sum = half;
        for (let i = 0; i < n; i++) sum += (pixels[from + i * channels + c] ?? 0) * (weights[x * stride + i] ?? 0);
        resized[(y * width + x) * channels + c] = sum >> precisionBits;
      }
    }
  }
  return { width, height, channels, pixels: new Uint8Array(resized.buffer) };
}

/** Adds whole rows, which lie together in memory, instead of going down the columns. */
function resizeColumns(
  { width, height: inHeight, channels, pixels }: Picture,
  height: number,
  kernel: Kernel,
): Picture {
  const { first, count, weights, stride } = weigh(inHeight, height, kernel);
  const row = width * channels;
  const sums = new Int32Array(row);
  const resized = new Uint8ClampedArray(height * row);
  for (let y = 0; y < height; y++) {
    sums.fill(half);
    for (let i = 0; i < (count[y] ?? 0); i++) {
      const from = ((first[y] ?? 0) + i) * row;
      const weight = weights[y * stride + i] ?? 0;
      for (let k = 0; k < row; k++) sums[k] = (sums[k] ?? 0) + (pixels[from + k] ?? 0) * weight;
    }
    for (let k = 0; k < row; k++) resized[y * row + k] = (sums[k] ?? 0) >> precisionBits;
  }
  return { width, height, channels, pixels: new Uint8Array(resized.buffer) };
}

function resizeNearest({ width: inWidth, height: inHeight, channels, pixels }: Picture, width: number, height: number) {
  const [columns, rows] = [nearest(inWidth, width), nearest(inHeight, height)];
  const resized = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = ((rows[y] ?? 0) * inWidth + (columns[x] ?? 0)) * channels;
      resized.set(pixels.subarray(from, from + channels), (y * width + x) * channels);
    }
  }
  return { width, height, channels, pixels: resized };
}

/** The input pixel for each output pixel. Steps are added up, as in Pillow: their rounding decides between two pixels. */
function nearest(inSize: number, outSize: number): Int32Array {
  const step = inSize / outSize;
  let at = step * 0.5;
  return new Int32Array(outSize).map(() => {
    const pixel = Math.min(inSize - 1, Math.trunc(at));
    at += step;
    return pixel;
  });
}
