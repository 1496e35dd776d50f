/** How Pillow weighs pixels when it resizes, by its numbers for them (`PIL.Image.Resampling`). */
export type Filter = "nearest" | "lanczos" | "bilinear" | "bicubic";

export const filtersByNumber: Readonly<Record<number, Filter>> = {
  0: "nearest",
  1: "lanczos",
  2: "bilinear",
  3: "bicubic",
};

/** A filter that weighs: `support` is how far it reaches, in pixels of the coarser image. */
export interface Kernel {
  readonly support: number;
  readonly weigh: (distance: number) => number;
}

export const kernels: Readonly<Record<Exclude<Filter, "nearest">, Kernel>> = {
  bilinear: { support: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weigh: cubic },
  lanczos: { support: 3, weigh: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Keys (1981), eq. 15, with a = −1/2 in place of his general kernel. */
function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
