import type { ComputableDtype } from "../../../shared/checkpoint/dtypes.js";
import type { FunctionBody, Local } from "./encoder.js";

/** Pushes four elements at `address + offset` bytes as f32 lanes. Every conversion to f32 is exact but F64's. */
export function loadLanes(body: FunctionBody, dtype: ComputableDtype, address: Local, offset: number): void {
  switch (dtype) {
    case "F32":
      body.get(address).load("v128.load", offset);
      return;
    case "BF16":
      body.get(address).load("v128.load16x4_u", offset).i32(16).simd("i32x4.shl");
      return;
    case "F16":
      body.get(address).load("v128.load16x4_u", offset);
      widenSmall(body, smallFloats.F16);
      return;
    case "F8_E5M2":
    case "F8_E4M3":
      body.get(address).load("v128.load32_zero", offset);
      body.simd("i16x8.extend_low_i8x16_u").simd("i32x4.extend_low_i16x8_u");
      widenSmall(body, smallFloats[dtype]);
      return;
    case "F64":
      body.get(address).load("v128.load", offset).simd("f32x4.demote_f64x2_zero");
      body
        .get(address)
        .load("v128.load", offset + 16)
        .simd("f32x4.demote_f64x2_zero");
      body.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
      return;
  }
}

/** Pushes four of the eight bf16 elements in a vector as f32 lanes: a bf16 is the upper half of an f32. */
export function pushWidenedBf16(body: FunctionBody, eight: Local, half: "low" | "high"): void {
  const first = half === "low" ? 0 : 8;
  // Bytes of both vectors by turns, which x64 has an instruction for.
  const interleaved = [0, 2, 4, 6].flatMap((byte) => [0, 1, 16, 17].map((of) => of + first + byte));
  body.splat(0).get(eight).shuffle(interleaved);
}

/**
 * Rounds eight f32 elements (`low`, then `high`) to nearest-even and stores them at `address + offset` bytes. What is
 * stored for a NaN is canonical, or anything if `nan` says so.
 */
export function storeLanes(
  body: FunctionBody,
  dtype: ComputableDtype,
  address: Local,
  offset: number,
  low: Local,
  high: Local,
  nan: "canonical" | "any" = "canonical",
): void {
  switch (dtype) {
    case "F32":
      for (const [half, at] of [
        [low, offset],
        [high, offset + 16],
      ] as const) {
        body.get(address).get(half).splat(0x7fc0_0000);
        body.get(half).get(half).simd("f32x4.eq").simd("v128.bitselect").store("v128.store", at);
      }
      return;
    case "F64":
      for (const [half, at] of [
        [low, offset],
        [high, offset + 32],
      ] as const) {
        const canonical = body.local("v128");
        body.get(half).splat(0x7fc0_0000).get(half).get(half).simd("f32x4.eq").simd("v128.bitselect").set(canonical);
        body.get(address).get(canonical).simd("f64x2.promote_low_f32x4").store("v128.store", at);
        body.get(address).get(canonical).get(canonical).shuffle(upperHalf);
        body.simd("f64x2.promote_low_f32x4").store("v128.store", at + 16);
      }
      return;
    case "BF16":
      body.get(address);
      for (const half of [low, high]) {
        pushRoundedToBf16(body, half);
        // Rounding may carry a NaN's bits over into another number's.
        if (nan === "canonical") body.splat(0x7fc0).get(half).get(half).simd("f32x4.eq").simd("v128.bitselect");
      }
      body.simd("i16x8.narrow_i32x4_u").store("v128.store", offset);
      return;
    case "F16":
      body.get(address);
      narrowSmall(body, low, smallFloats.F16);
      narrowSmall(body, high, smallFloats.F16);
      body.simd("i16x8.narrow_i32x4_u").store("v128.store", offset);
      return;
    case "F8_E5M2":
    case "F8_E4M3": {
      const narrowed = body.local("v128");
      body.get(address);
      narrowSmall(body, low, smallFloats[dtype]);
      narrowSmall(body, high, smallFloats[dtype]);
      body.simd("i16x8.narrow_i32x4_u").tee(narrowed).get(narrowed).simd("i8x16.narrow_i16x8_u").storeLow64(offset);
      return;
    }
  }
}

/**
 * The smallest finite |x| that does not survive rounding to the dtype, as f32 bits: it becomes infinite (or 448 in
 * E4M3, which has no infinity). +∞ where rounding never overflows.
 */
export const overflowBits: Readonly<Record<ComputableDtype, number>> = {
  F32: 0x7f80_0000,
  F64: 0x7f80_0000,
  BF16: 0x7f7f_8000,
  F16: 0x477f_f000, // 65520
  F8_E5M2: 0x4770_0000, // 61440
  F8_E4M3: 0x43e8_0001, // just above 464: 464 itself ties to 448
};

const upperHalf = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];

/** A float narrower than f32: sign, exponent with `bias`, `mantissaBits`, in `bits` bits. */
interface SmallFloat {
  readonly bits: 8 | 16;
  readonly bias: number;
  readonly mantissaBits: number;
  /** Magnitudes from this pattern on are infinity or NaN. */
  readonly special: number;
  /** What overflows becomes: infinity, or the largest number where there is none. */
  readonly overflow: number;
  /** What the special patterns widen to, besides the bits they bring along. */
  readonly widensTo: number;
  readonly nan: number;
}

const smallFloats = {
  F16: { bits: 16, bias: 15, mantissaBits: 10, special: 0x7c00, overflow: 0x7c00, widensTo: 0x7f80_0000, nan: 0x7e00 },
  F8_E5M2: { bits: 8, bias: 15, mantissaBits: 2, special: 0x7c, overflow: 0x7c, widensTo: 0x7f80_0000, nan: 0x7f },
  // No infinity: all ones is NaN and everything below it is a number.
  F8_E4M3: { bits: 8, bias: 7, mantissaBits: 3, special: 0x7f, overflow: 0x7e, widensTo: 0x7fc0_0000, nan: 0x7f },
} as const satisfies Partial<Record<ComputableDtype, SmallFloat>>;

/**
 * The small float in the low bits of each lane → f32: move exponent and mantissa into place and multiply by the power
 * of two that corrects the bias. That is exact, subnormals included; the special patterns are patched.
 */
function widenSmall(body: FunctionBody, format: SmallFloat): void {
  const raw = body.local("v128");
  const magnitude = body.local("v128");
  const sign = 1 << (format.bits - 1);
  body
    .tee(raw)
    .splat(sign - 1)
    .simd("v128.and")
    .set(magnitude);
  body
    .get(magnitude)
    .i32(23 - format.mantissaBits)
    .simd("i32x4.shl");
  body.splat((127 - format.bias + 127) << 23).simd("f32x4.mul");
  body
    .get(magnitude)
    .splat(format.special - 1)
    .simd("i32x4.gt_u");
  body.splat(format.widensTo).simd("v128.and").simd("v128.or");
  body
    .get(raw)
    .splat(sign)
    .simd("v128.and")
    .i32(32 - format.bits)
    .simd("i32x4.shl")
    .simd("v128.or");
}

/**
 * f32 → the small float in the low bits of each lane, to nearest-even. Normal numbers round by adding just under half
 * (half, if the last kept bit is odd) and cutting; subnormals round in the adder, against a power of two whose unit in
 * the last place is the format's smallest number. What overflows is cut back; NaN becomes the canonical one.
 */
function narrowSmall(body: FunctionBody, x: Local, format: SmallFloat): void {
  const { bits, bias, mantissaBits, overflow } = format;
  const magnitude = body.local("v128");
  const rounded = body.local("v128");
  const dropped = 23 - mantissaBits;
  const subnormalBelow = (127 - bias + 1) << 23;
  const adder = (127 - bias + dropped + 1) << 23;

  body.get(x).splat(0x7fff_ffff).simd("v128.and").set(magnitude);
  body.get(magnitude).splat(adder).simd("f32x4.add").splat(adder).simd("i32x4.sub");
  body.get(magnitude).i32(dropped).simd("i32x4.shr_u").splat(1).simd("v128.and");
  body
    .get(magnitude)
    .simd("i32x4.add")
    .splat((((bias - 127) << 23) + (1 << (dropped - 1)) - 1) | 0)
    .simd("i32x4.add");
  body.i32(dropped).simd("i32x4.shr_u");
  body.get(magnitude).splat(subnormalBelow).simd("i32x4.lt_u").simd("v128.bitselect").set(rounded);

  body.get(rounded).splat(overflow).simd("i32x4.min_u");
  body
    .get(x)
    .i32(32 - bits)
    .simd("i32x4.shr_u")
    .splat(1 << (bits - 1))
    .simd("v128.and")
    .simd("v128.or");
  body.splat(format.nan).get(x).get(x).simd("f32x4.eq").simd("v128.bitselect");
}

/** Pushes f32 → bf16 in the low 16 bits of each lane, to nearest-even, of what is no NaN. */
function pushRoundedToBf16(body: FunctionBody, x: Local): void {
  body.get(x).get(x).i32(16).simd("i32x4.shr_u").splat(1).simd("v128.and").simd("i32x4.add");
  body.splat(0x7fff).simd("i32x4.add").i32(16).simd("i32x4.shr_u");
}
