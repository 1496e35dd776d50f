/**
 * A recipe that must be refused: what is wrong, the text, and every line of the error without the file's name before
 * it. The tables beside this file read as a list of what an author is told.
 */
export type BadRecipe = readonly [wrong: string, text: string, complaints: readonly string[]];

/** A recipe with nothing wrong in its three lines, for others to go wrong after. */
export const fine = "merge_method: linear\nmodels:\n  - { model: ./a, parameters: { weight: 1 } }\n";
