/** Many times the longest tensor name: matching takes at most the product of both lengths. */
const maxGlobLength = 512;

/** Whether a filter is a glob. `"*"` alone is mergekit's word for every tensor, and means the same. */
export function isGlob(filter: string): boolean {
  return filter !== "*" && /[*?[]/.test(filter);
}

/** Why a glob cannot be used, as the end of a sentence about it. */
export function problemWithGlob(glob: string): string | undefined {
  if (glob.length > maxGlobLength)
    return `is a glob of ${glob.length} characters, more than the limit of ${maxGlobLength}`;
  return piecesOf(glob) === undefined ? 'has a "[" without a "]" after it' : undefined;
}

/**
 * A test of whether a glob matches the whole name: `*` is any text, dots included, `?` one character, `[a-c5]` one of
 * those and `[!a-c5]` any other, as in Python's fnmatch. A `]` right after the opening stands for itself. A glob that
 * has a problem matches nothing.
 */
export function compileGlob(glob: string): (name: string) => boolean {
  const pieces = piecesOf(glob);
  return pieces === undefined ? () => false : (name) => matches(pieces, name);
}

function matches(pieces: readonly Piece[], name: string): boolean {
  let piece = 0;
  let place = 0;
  // Where to go on when a guess at a star's length was wrong: only the last star's ever needs another guess.
  let afterStar: number | undefined;
  let guessedEnd = 0;
  while (place < name.length || piece < pieces.length) {
    const wanted = pieces[piece];
    if (wanted === "*") {
      piece += 1;
      afterStar = piece;
      guessedEnd = place;
    } else if (wanted !== undefined && place < name.length && wanted(name.charCodeAt(place))) {
      piece += 1;
      place += 1;
    } else if (afterStar !== undefined && guessedEnd < name.length) {
      guessedEnd += 1;
      piece = afterStar;
      place = guessedEnd;
    } else {
      return false;
    }
  }
  return true;
}

type Piece = "*" | ((code: number) => boolean);

function piecesOf(glob: string): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  for (let place = 0; place < glob.length; place++) {
    const character = glob.charAt(place);
    if (character === "*") pieces.push("*");
    else if (character === "?") pieces.push(() => true);
    else if (character === "[") {
      const isNegated = glob.charAt(place + 1) === "!";
      const begin = place + (isNegated ? 2 : 1);
      const end = glob.indexOf("]", begin + 1);
      if (end < 0) return undefined;
      const isIn = setOf(glob.slice(begin, end));
      pieces.push((code) => isIn(code) !== isNegated);
      place = end;
    } else {
      const wanted = glob.charCodeAt(place);
      pieces.push((code) => code === wanted);
    }
  }
  return pieces;
}

/** The characters between brackets, single and as ranges. */
function setOf(text: string): (code: number) => boolean {
  const ranges: (readonly [from: number, to: number])[] = [];
  for (let place = 0; place < text.length; place++) {
    const from = text.charCodeAt(place);
    const isRange = text.charAt(place + 1) === "-" && place + 2 < text.length;
    if (isRange) place += 2;
    ranges.push([from, text.charCodeAt(place)]);
  }
  return (code) => ranges.some(([from, to]) => from <= code && code <= to);
}
