import { type BadRecipe, fine } from "./row.js";

const allKeys =
  '"merge_method", "models", "slices", "modules", "base_model", "parameters", "dtype", "out_dtype", "tokenizer", "tokenizer_source", "chat_template", "seed", "name"';

/** Keys that are missing, unknown or of the wrong type. */
export const badKeys: readonly BadRecipe[] = [
  [
    "no method and no models",
    "# soup\nseed: 1\n",
    ['2:1  Missing key "merge_method"', '2:1  Missing one of the keys "models", "slices", "modules"'],
  ],
  [
    "keys without a value",
    "merge_method:\nmodels: null\n",
    ['1:1  Key "merge_method" has no value', '2:1  Key "models" has no value'],
  ],
  [
    "a misspelt key, which is not missing as well",
    `merge_metod: linear\n${fine.replace(/^.*\n/, "")}`,
    ['1:1  Unknown key "merge_metod", did you mean "merge_method"?'],
  ],
  [
    "a key in the wrong case",
    `${fine}Base-Model: ./b\n`,
    ['4:1  Unknown key "Base-Model", did you mean "base_model"?'],
  ],
  ["a key of nobody's", `${fine}metadata: x\n`, [`4:1  Unknown key "metadata", expected one of ${allKeys}`]],
  ["a number as a key", `${fine}1: x\n`, [`4:1  Unknown key "1", expected one of ${allKeys}`]],
  [
    "a key that would poison objects",
    `${fine}__proto__: x\n`,
    [`4:1  Unknown key "__proto__", expected one of ${allKeys}`],
  ],
  [
    "a key with a terminal escape",
    `${fine}"\\e[2J": x\n`,
    [`4:1  Unknown key "\\u001b[2J", expected one of ${allKeys}`],
  ],
  ["a key twice", `${fine}seed: 1\nseed: 2\n`, ['5:1  Key "seed" appears twice, first on line 4']],
  [
    "a key twice under a model",
    "merge_method: linear\nmodels:\n  - model: ./a\n    model: ./b\n",
    ['4:5  Key "model" appears twice, first on line 3'],
  ],
  [
    "a method that is a number",
    fine.replace("linear", "3"),
    ['1:15  Key "merge_method" must be a string, found the number 3'],
  ],
  ["a method that is empty", fine.replace("linear", '""'), ['1:15  Key "merge_method" is an empty string']],
  ["a name that is a list", `${fine}name: [a]\n`, ['4:7  Key "name" must be a string, found a list']],
  ["a misspelt dtype", `${fine}dtype: bfloat61\n`, ['4:8  Unknown dtype "bfloat61", did you mean "bfloat16"?']],
  [
    "a dtype that nothing can be merged in",
    `${fine}out_dtype: int8\n`,
    [
      '4:12  Unknown out_dtype "int8", expected one of "float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2"',
    ],
  ],
  ["a dtype that is a number", `${fine}dtype: 16\n`, ['4:8  Key "dtype" must be a string, found the number 16']],
  ...["1.5", "-1", "1e300", ".inf", "true", "[1]", "x"].map(
    (seed): BadRecipe => [
      `the seed ${seed}`,
      `${fine}seed: ${seed}\n`,
      [`4:7  Key "seed" must be a whole number from 0 to 9007199254740991, found ${seedAsFound(seed)}`],
    ],
  ),
];

function seedAsFound(seed: string): string {
  if (seed === "[1]") return "a list";
  if (seed === "x") return 'the string "x"';
  if (seed === "true") return "true";
  return `the number ${seed === "1e300" ? "1e+300" : seed === ".inf" ? "Infinity" : seed}`;
}
