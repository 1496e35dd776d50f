/**
 * Just enough of the WebAssembly binary format (core specification 2.0, chapter 5) to write one module with one
 * function over an imported shared memory.
 */

export const valueTypes = { i32: 0x7f, v128: 0x7b } as const;
export type ValueType = keyof typeof valueTypes;

/** A local variable or parameter of the function being built. */
export type Local = number;

/** Plain instructions, by their one-byte opcodes. */
const plain = {
  else: 0x05,
  end: 0x0b,
  select: 0x1b,
  "i32.eqz": 0x45,
  "i32.lt_s": 0x48,
  "i32.lt_u": 0x49,
  "i32.gt_s": 0x4a,
  "i32.gt_u": 0x4b,
  "i32.le_u": 0x4d,
  "i32.ge_u": 0x4f,
  "i32.clz": 0x67,
  "i32.add": 0x6a,
  "i32.sub": 0x6b,
  "i32.mul": 0x6c,
  "i32.and": 0x71,
  "i32.or": 0x72,
  "i32.shl": 0x74,
  "i32.shr_u": 0x76,
} as const;

/** SIMD instructions without immediates, by the opcode after the 0xfd prefix. */
const simd = {
  "i32x4.splat": 17,
  "i32x4.eq": 55,
  "i32x4.lt_s": 57,
  "i32x4.gt_s": 59,
  "i32x4.gt_u": 60,
  "i32x4.lt_u": 58,
  "f32x4.eq": 65,
  "f32x4.ne": 66,
  "f32x4.lt": 67,
  "f32x4.le": 69,
  "v128.and": 78,
  "v128.andnot": 79,
  "v128.or": 80,
  "v128.xor": 81,
  "v128.bitselect": 82,
  "v128.any_true": 83,
  "f32x4.demote_f64x2_zero": 94,
  "f64x2.promote_low_f32x4": 95,
  "i8x16.bitmask": 100,
  "i8x16.narrow_i16x8_s": 101,
  "i8x16.narrow_i16x8_u": 102,
  "f32x4.ceil": 103,
  "f32x4.floor": 104,
  "i16x8.narrow_i32x4_s": 133,
  "i16x8.narrow_i32x4_u": 134,
  "i16x8.extend_low_i8x16_u": 137,
  "i16x8.add": 142,
  "i16x8.sub": 145,
  "i16x8.max_u": 153,
  "i32x4.extend_low_i16x8_u": 169,
  "i32x4.bitmask": 164,
  "i32x4.shl": 171,
  "i32x4.shr_s": 172,
  "i32x4.shr_u": 173,
  "i32x4.add": 174,
  "i32x4.sub": 177,
  "i32x4.mul": 181,
  "i32x4.min_u": 183,
  "i32x4.max_s": 184,
  "i32x4.max_u": 185,
  "i64x2.extmul_low_i32x4_u": 222,
  "i64x2.extmul_high_i32x4_u": 223,
  "f32x4.abs": 224,
  "f32x4.neg": 225,
  "f32x4.sqrt": 227,
  "f32x4.add": 228,
  "f32x4.sub": 229,
  "f32x4.mul": 230,
  "f32x4.div": 231,
  "f32x4.min": 232,
  "f32x4.max": 233,
  "f32x4.pmax": 235,
  "f64x2.add": 240,
  "i32x4.trunc_sat_f32x4_s": 248,
  "f32x4.convert_i32x4_s": 250,
} as const;

/** Memory instructions: opcode, and log2 of the natural alignment. */
const memory = {
  "i32.load": [0x28, 2],
  "i32.load8_u": [0x2d, 0],
  "i32.load16_u": [0x2f, 1],
  "i32.store": [0x36, 2],
  "i32.store16": [0x3b, 1],
} as const;

const simdMemory = {
  "v128.load": [0, 4],
  "v128.load16x4_u": [4, 3],
  "v128.load32_splat": [9, 2],
  "v128.store": [11, 4],
  "v128.load32_zero": [92, 2],
} as const;

export type PlainInstruction = keyof typeof plain;
export type SimdInstruction = keyof typeof simd;

/** Builds the body of a function, instruction by instruction. */
export class FunctionBody {
  readonly #bytes: number[] = [];
  readonly #locals: ValueType[] = [];
  readonly #parameters: number;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  /** Declares a local variable; it starts as zero. */
  local(type: ValueType): Local {
    return this.#parameters + this.#locals.push(type) - 1;
  }

  op(instruction: PlainInstruction): this {
    this.#bytes.push(plain[instruction]);
    return this;
  }

  simd(instruction: SimdInstruction): this {
    this.#bytes.push(0xfd, ...unsigned(simd[instruction]));
    return this;
  }

  get(local: Local): this {
    this.#bytes.push(0x20, ...unsigned(local));
    return this;
  }

  set(local: Local): this {
    this.#bytes.push(0x21, ...unsigned(local));
    return this;
  }

  tee(local: Local): this {
    this.#bytes.push(0x22, ...unsigned(local));
    return this;
  }

  i32(value: number): this {
    this.#bytes.push(0x41, ...signed(value | 0));
    return this;
  }

  /** A vector constant of four 32-bit integers (or bit patterns). */
  v128(lanes: readonly [number, number, number, number]): this {
    const bytes = new Uint8Array(Uint32Array.from(lanes, (lane) => lane >>> 0).buffer);
    this.#bytes.push(0xfd, 12, ...bytes);
    return this;
  }

  /** The same 32-bit pattern in all four lanes. */
  splat(pattern: number): this {
    return this.v128([pattern, pattern, pattern, pattern]);
  }

  shuffle(lanes: readonly number[]): this {
    this.#bytes.push(0xfd, 13, ...lanes);
    return this;
  }

  extractLane(lane: number): this {
    this.#bytes.push(0xfd, 27, lane);
    return this;
  }

  load(instruction: keyof typeof memory | Exclude<keyof typeof simdMemory, "v128.store">, offset: number): this {
    return this.#memory(instruction, offset);
  }

  /** Stores the value on the stack at the address below it. */
  store(instruction: "i32.store" | "i32.store16" | "v128.store", offset: number): this {
    return this.#memory(instruction, offset);
  }

  /** Stores the lower 64 bits of a vector. */
  storeLow64(offset: number): this {
    this.#bytes.push(0xfd, 91, 0, ...unsigned(offset), 0);
    return this;
  }

  block(inside: () => void): this {
    return this.#structured(0x02, inside);
  }

  loop(inside: () => void): this {
    return this.#structured(0x03, inside);
  }

  if(inside: () => void): this {
    return this.#structured(0x04, inside);
  }

  branch(depth: number): this {
    this.#bytes.push(0x0c, ...unsigned(depth));
    return this;
  }

  branchIf(depth: number): this {
    this.#bytes.push(0x0d, ...unsigned(depth));
    return this;
  }

  encode(): number[] {
    const locals = this.#locals.flatMap((type) => [1, valueTypes[type]]);
    const code = [...unsigned(this.#locals.length), ...locals, ...this.#bytes, plain.end];
    return [...unsigned(code.length), ...code];
  }

  #structured(opcode: number, inside: () => void): this {
    this.#bytes.push(opcode, 0x40);
    inside();
    this.#bytes.push(plain.end);
    return this;
  }

  /** Alignment is only a hint, and tiles may start anywhere: 0 says "byte-aligned" and costs nothing on today's CPUs. */
  #memory(instruction: keyof typeof memory | keyof typeof simdMemory, offset: number): this {
    if (instruction in memory) this.#bytes.push(memory[instruction as keyof typeof memory][0], 0, ...unsigned(offset));
    else {
      const [opcode] = simdMemory[instruction as keyof typeof simdMemory];
      this.#bytes.push(0xfd, ...unsigned(opcode), 0, ...unsigned(offset));
    }
    return this;
  }
}

/** A module that imports a shared memory as `env.memory` and exports one function of i32 parameters as `run`. */
export function encodeModule(body: FunctionBody, parameters: number, maximumPages: number): Uint8Array<ArrayBuffer> {
  const sharedWithMaximum = 0x03;
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [[0x60, ...vector(new Array(parameters).fill([valueTypes.i32])), 0]]),
    ...section(2, [[...name("env"), ...name("memory"), 0x02, sharedWithMaximum, 0, ...unsigned(maximumPages)]]),
    ...section(3, [[0]]),
    ...section(7, [[...name("run"), 0x00, 0]]),
    ...section(10, [body.encode()]),
  ]);
}

function section(id: number, items: readonly number[][]): number[] {
  const content = vector(items);
  return [id, ...unsigned(content.length), ...content];
}

function vector(items: readonly number[][]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): number[] {
  return vector([...new TextEncoder().encode(text)].map((byte) => [byte]));
}

/** LEB128, unsigned. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? byte : byte | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** LEB128, signed 32-bit. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const isLast = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
    bytes.push(isLast ? byte : byte | 0x80);
    if (isLast) return bytes;
  }
}
