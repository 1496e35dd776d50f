import { type BadRecipe, fine } from "./row.js";

const parameter = (setting: string) => `${fine}parameters:\n  weight: ${setting}\n`;

/** Mistakes in parameter values that are mistakes for every method. */
export const badSettings: readonly BadRecipe[] = [
  ["a parameter left blank", parameter(""), ['5:3  Parameter "weight" has no value']],
  ["infinity", parameter("-.inf"), ['5:11  Parameter "weight" must be finite, found the number -Infinity']],
  ["not a number", parameter(".nan"), ['5:11  Parameter "weight" must be finite, found the number NaN']],
  ["a number too large", parameter("1e999"), ['5:11  Parameter "weight" must be finite, found the number Infinity']],
  [
    "a quoted number too large",
    parameter("'1e999'"),
    ['5:11  Parameter "weight" must be finite, found the string "1e999"'],
  ],
  ["an empty list", parameter("[]"), ['5:11  Parameter "weight" is an empty list']],
  [
    "a list of lists",
    parameter("[1, [2]]"),
    ['5:15  Parameter "weight" is a list over the layers, which holds finite values only, found a list'],
  ],
  [
    "a list with NaN and with nothing",
    parameter("[1, x, .nan, ~]"),
    [
      '5:18  Parameter "weight" is a list over the layers, which holds finite values only, found the number NaN',
      '5:24  Parameter "weight" is a list over the layers, which holds finite values only, found nothing',
    ],
  ],
  ["a mapping", parameter("{ a: 1 }"), ['5:11  Parameter "weight" must be a value or a list, found a mapping']],
  [
    "a filter without a value",
    parameter("[{ filter: mlp }]"),
    ['5:12  Missing key "value" in a filter of parameter "weight"'],
  ],
  ["a filter with an empty value", parameter("[{ filter: mlp, value: }]"), ['5:27  Key "value" has no value']],
  [
    "a misspelt filter",
    parameter("[{ fliter: mlp, value: 1 }]"),
    ['5:14  Unknown key "fliter", did you mean "filter"?'],
  ],
  [
    "a filter that is a number",
    parameter("[{ filter: 3, value: 1 }]"),
    ['5:22  Key "filter" must be a string, found the number 3'],
  ],
  [
    "filters mixed with numbers",
    parameter("\n    - filter: mlp\n      value: 1\n    - 0.5"),
    ['8:7  Parameter "weight" is a list of filters, in which every entry needs "value", found the number 0.5'],
  ],
  [
    "filters inside a filter",
    parameter("[{ value: [{ value: 1 }] }]"),
    ['5:22  Parameter "weight" is a list over the layers, which holds finite values only, found a mapping'],
  ],
  [
    "an infinite value in a filter",
    parameter("[{ value: .inf }]"),
    ['5:21  Parameter "weight" must be finite, found the number Infinity'],
  ],
  [
    "complaints everywhere, in the order of the text",
    "seed: x\nmodels: [{ model: 3, parameters: { weight: .nan } }]\nmerge_metod: linear\ndtype: float33\n",
    [
      '1:7  Key "seed" must be a whole number from 0 to 9007199254740991, found the string "x"',
      '2:19  Key "model" must be a string, found the number 3',
      '2:44  Parameter "weight" must be finite, found the number NaN',
      '3:1  Unknown key "merge_metod", did you mean "merge_method"?',
      '4:8  Unknown dtype "float33", did you mean "float32"?',
    ],
  ],
  [
    "a glob with an open bracket",
    parameter("[{ filter: 'layers.[0-9', value: 1 }]"),
    ['5:22  Filter "layers.[0-9" has a "[" without a "]" after it'],
  ],
  [
    "a glob that is too long",
    parameter(`[{ filter: '${"*".repeat(513)}', value: 1 }]`),
    [
      `5:22  Filter "${"*".repeat(128)}…${"*".repeat(32)}" (513 characters) is a glob of 513 characters, more than the limit of 512`,
    ],
  ],
  [
    "a filter outside a list without a value",
    parameter("{ filter: mlp }"),
    ['5:11  Missing key "value" in a filter of parameter "weight"'],
  ],
  [
    "a filter outside a list with a misspelt value",
    parameter("{ filter: mlp, valeu: 3 }"),
    ['5:26  Unknown key "valeu", did you mean "value"?'],
  ],
  [
    "filters in a mapping",
    parameter("{ mlp: 0.5, '*': 1 }"),
    ['5:11  Parameter "weight" must be a value or a list, found a mapping'],
  ],
  [
    "a filter inside a filter",
    parameter("[{ value: { filter: mlp, value: 1 } }]"),
    ['5:21  Parameter "weight" must be a value or a list, found a mapping'],
  ],
];
