/** A small seeded generator (mulberry32) for tests: the same seed, the same case. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Values as fine-tuned weights have them: normal, small. */
export function normals(count: number, random: () => number, scale = 1): Float32Array {
  return new Float32Array(count).map(() => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return radius * Math.cos(2 * Math.PI * random()) * scale;
  });
}

/** Values of every kind: subnormal to huge, signed zeros, infinities, NaN, and plenty of ties. */
export function wildValues(count: number, random: () => number): Float32Array {
  const special = [0, -0, Infinity, -Infinity, Number.NaN, 1, -1, 3.4028235e38, -3.4028235e38, 1e-45, -1e-45, 0.5];
  return new Float32Array(count).map(() => {
    if (random() < 0.2) return special[Math.floor(random() * special.length)] ?? 0;
    return (random() - 0.5) * 10 ** (random() * 60 - 30);
  });
}
