import { type BadRecipe, fine } from "./row.js";

/** Not a recipe at all, or YAML that a recipe may not use. */
export const badDocuments: readonly BadRecipe[] = [
  ["an empty file", "", ["1:1  The recipe is empty"]],
  ["nothing but a byte order mark", "\uFEFF", ["1:1  The recipe is empty"]],
  ["nothing but comments", "# merge_method: linear\n\n", ["1:1  The recipe is empty"]],
  ["nothing but null", "---\n~\n", ["1:1  The recipe is empty"]],
  ["a list", "- merge_method: linear\n", ["1:1  A recipe must be a mapping, found a list"]],
  ["a word", "\n linear\n", ['2:2  A recipe must be a mapping, found the string "linear"']],
  ["a number", "42", ["1:1  A recipe must be a mapping, found the number 42"]],
  ["an unknown alias", `${fine}parameters: *shared\n`, ['4:13  Alias "*shared" has no anchor before it']],
  ["an alias inside its own anchor", "models: &m [*m]\n", ['1:13  Alias "*m" has no anchor before it']],
  ["a merge key without a mapping", `${fine}<<: 3\n`, ['4:1  Key "<<" must have a mapping or a list of mappings']],
  [
    "tags",
    `${fine}dtype: !!python/object/apply:os.system [ls]\nseed: !!js/function 3\nname: !local x\n`,
    [
      '4:8  Tag "!!python/object/apply:os.system" is not allowed',
      '5:7  Tag "!!js/function" is not allowed',
      '6:7  Tag "!local" is not allowed',
    ],
  ],
  ["a harmless tag, too", `!!map\n${fine}`, ['1:1  Tag "!!map" is not allowed']],
];
