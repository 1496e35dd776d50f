import { expConstants, logConstants } from "../../../shared/expression/elementary.js";
import type { FunctionBody, Local, SimdInstruction } from "./encoder.js";

/**
 * exp and log of four lanes: the operations of shared/expression/elementary.ts, in its order, which is what makes the
 * bits the same. Where the reference branches, lanes are computed either way and the right ones selected.
 */

/** Pushes e^x. */
export function pushExp(body: FunctionBody, given: Local): void {
  const { lowest, highest, log2e, ln2High, ln2Low, polynomial } = expConstants;
  const [x, n, r, fraction] = [0, 1, 2, 3].map(() => body.local("v128")) as [Local, Local, Local, Local];
  const [power, half] = [body.local("v128"), body.local("v128")];
  with32(body.get(given), "f32x4.min", highest);
  with32(body, "f32x4.max", lowest).set(x);
  with32(body.get(x), "f32x4.mul", log2e);
  with32(body, "f32x4.add", 0.5).simd("f32x4.floor").set(n);
  with32(body.get(x).get(n), "f32x4.mul", ln2High).simd("f32x4.sub");
  with32(body.get(n), "f32x4.mul", ln2Low).simd("f32x4.sub").set(r);
  pushPolynomial(body, polynomial, r);
  body.get(r).get(r).simd("f32x4.mul").simd("f32x4.mul").get(r).simd("f32x4.add");
  with32(body, "f32x4.add", 1).set(fraction);
  body.get(n).simd("i32x4.trunc_sat_f32x4_s").set(power);
  body.get(power).i32(1).simd("i32x4.shr_s").set(half);
  body.get(fraction).get(half);
  pushPowerOfTwo(body);
  body.simd("f32x4.mul").get(power).get(half).simd("i32x4.sub");
  pushPowerOfTwo(body);
  body.simd("f32x4.mul");
}

/** Pushes ln x. */
export function pushLog(body: FunctionBody, x: Local): void {
  const { smallestNormal, subnormalScale, subnormalExponent, rootHalfBits, ln2High, ln2Low, polynomial } = logConstants;
  const [isSubnormal, shifted, k, f] = [0, 1, 2, 3].map(() => body.local("v128")) as [Local, Local, Local, Local];
  const [s, z, h] = [0, 1, 2].map(() => body.local("v128")) as [Local, Local, Local];
  with32(body.get(x), "f32x4.lt", smallestNormal).set(isSubnormal);
  with32(body.get(x), "f32x4.mul", subnormalScale).get(x).get(isSubnormal).simd("v128.bitselect");
  body.splat(rootHalfBits).simd("i32x4.sub").set(shifted);
  body.get(shifted).i32(23).simd("i32x4.shr_s");
  body.get(isSubnormal).splat(subnormalExponent).simd("v128.and").simd("i32x4.sub");
  body.simd("f32x4.convert_i32x4_s").set(k);
  body.get(shifted).splat(0x7f_ffff).simd("v128.and").splat(rootHalfBits).simd("i32x4.add");
  with32(body, "f32x4.sub", 1).set(f);
  with32(body.get(f).get(f), "f32x4.add", 2).simd("f32x4.div").set(s);
  body.get(s).get(s).simd("f32x4.mul").set(z);
  with32(body.get(f), "f32x4.mul", 0.5).get(f).simd("f32x4.mul").set(h);
  body.get(s);
  pushPolynomial(body, polynomial, z);
  body.get(z).simd("f32x4.mul").get(h).simd("f32x4.add").simd("f32x4.mul");
  with32(body.get(k), "f32x4.mul", ln2Low).simd("f32x4.add").get(h).simd("f32x4.sub").get(f).simd("f32x4.add");
  with32(body.get(k), "f32x4.mul", ln2High).simd("f32x4.add");
  // What the formula does not know: ln ∞ = ∞, ln ±0 = −∞, and NaN of everything that is not at least zero.
  body.splat(bitsOf(Infinity));
  with32(body.get(x), "f32x4.ne", Infinity).simd("v128.bitselect");
  body.splat(bitsOf(-Infinity));
  with32(body.get(x), "f32x4.ne", 0).simd("v128.bitselect");
  body.splat(bitsOf(Number.NaN)).splat(0).get(x).simd("f32x4.le").simd("v128.bitselect");
}

/** Applies an instruction to what is on the stack and a constant. */
function with32(body: FunctionBody, instruction: SimdInstruction, constant: number): FunctionBody {
  return body.splat(bitsOf(constant)).simd(instruction);
}

/** By Horner's rule, from the highest power down. */
function pushPolynomial(body: FunctionBody, [highest = 0, ...rest]: readonly number[], x: Local): void {
  body.splat(bitsOf(highest));
  for (const coefficient of rest) with32(body.get(x).simd("f32x4.mul"), "f32x4.add", coefficient);
}

/** Turns the integers on the stack, each within a normal number's exponent, into powers of two. */
function pushPowerOfTwo(body: FunctionBody): void {
  body.splat(127).simd("i32x4.add").i32(23).simd("i32x4.shl");
}

function bitsOf(x: number): number {
  return new Uint32Array(Float32Array.of(x).buffer)[0] ?? 0;
}
