/** A run of numbered parts of a model: `model.layers.0.…`, `model.layers.1.…`. */
export interface Stack {
  /** What stands before the number, its dot included: `model.layers.`; empty where names begin with the number. */
  readonly prefix: string;
  /** One more than the highest number. */
  readonly layers: number;
  /** The layers hold named parts, as in `blocks.0.attn.weight`, and are no single operation, as in `mlp.0.weight`. */
  readonly isNested: boolean;
}

export interface NumberedPart {
  readonly prefix: string;
  readonly number: number;
  /** Of the first character after the number, which is a dot. */
  readonly end: number;
}

/** Digits of a layer's number; no published model has 10,000 layers. */
const maxDigits = 4;

/** Numbers looked at in one name; published names have up to three (stage, block, expert). */
const maxNumbers = 4;

/**
 * The numbered parts of a tensor's name, outermost first. A number has no leading zero, so that a renamed tensor can be
 * found again. No regular expression: this sees every tensor of every model several times.
 */
export function numberedParts(name: string): readonly NumberedPart[] {
  const parts: NumberedPart[] = [];
  for (let part = partFrom(name, 0); part !== undefined && parts.length < maxNumbers; ) {
    parts.push(part);
    part = partFrom(name, part.end + 1);
  }
  return parts;
}

/** The first numbered part that begins there or later. */
function partFrom(name: string, from: number): NumberedPart | undefined {
  let begin = from;
  for (let end = name.indexOf(".", begin); end !== -1; end = name.indexOf(".", begin)) {
    const number = numberIn(name, begin, end);
    if (number !== undefined) return { prefix: name.slice(0, begin), number, end };
    begin = end + 1;
  }
  return undefined;
}

function numberIn(name: string, begin: number, end: number): number | undefined {
  if (begin === end || end - begin > maxDigits || (end - begin > 1 && name.charCodeAt(begin) === 0x30))
    return undefined;
  let number = 0;
  for (let at = begin; at < end; at++) {
    const digit = name.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number;
}

/**
 * The stacks of a model. Of each name the outermost numbered part that is a candidate counts: experts are numbered
 * inside of layers. In order of first appearance.
 */
export function findStacks(
  names: Iterable<string>,
  isCandidate: (prefix: string, numbers: ReadonlySet<number>) => boolean,
): readonly Stack[] {
  const all = [...names];
  const numbers = new Map<string, Set<number>>();
  for (const name of all) {
    for (const { prefix, number } of numberedParts(name)) {
      const known = numbers.get(prefix);
      if (known === undefined) numbers.set(prefix, new Set([number]));
      else known.add(number);
    }
  }
  const candidates = new Set<string>();
  for (const [prefix, found] of numbers) if (isCandidate(prefix, found)) candidates.add(prefix);

  const stacks = new Map<string, { prefix: string; layers: number; isNested: boolean }>();
  for (const name of all) {
    const part = outermostIn(name, candidates);
    if (part === undefined) continue;
    const { prefix, number, end } = part;
    const stack = stacks.get(prefix) ?? { prefix, layers: 0, isNested: false };
    stack.layers = Math.max(stack.layers, number + 1);
    stack.isNested ||= name.includes(".", end + 1);
    stacks.set(prefix, stack);
  }
  return [...stacks.values()];
}

/** The outermost numbered part of a name whose prefix is one of these. */
export function outermostIn(name: string, prefixes: { has(prefix: string): boolean }): NumberedPart | undefined {
  let part = partFrom(name, 0);
  for (let count = 1; part !== undefined && count <= maxNumbers; count += 1) {
    if (prefixes.has(part.prefix)) return part;
    part = partFrom(name, part.end + 1);
  }
  return undefined;
}

/** Whether the numbers are 0, 1, … without a gap. */
export function isGapless(numbers: ReadonlySet<number>): boolean {
  for (let number = 0; number < numbers.size; number++) if (!numbers.has(number)) return false;
  return true;
}
