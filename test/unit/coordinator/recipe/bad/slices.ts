import { type BadRecipe, fine } from "./row.js";

const slices = (list: string) => `merge_method: linear\nslices:${list}`;
const source = (rest: string) => slices(`\n  - sources:\n      - { model: ./a, ${rest} }\n`);

const keys = '"sources", "base_model", "parameters", "residual_weight"';
const range =
  'Key "layer_range" must be two whole numbers, the first layer and the one after the last, such as [0, 8], found';

/** Mistakes in slices, and in which of `models`, `slices` and `modules` there are. */
export const badSlices: readonly BadRecipe[] = [
  [
    "models and slices",
    `${fine}slices: [{ sources: [{ model: ./a, layer_range: [0, 2] }] }]\n`,
    ['4:1  Key "slices" cannot stand beside "models", remove one of them'],
  ],
  [
    "slices before models",
    `slices: [{ sources: [{ model: ./a, layer_range: [0, 2] }] }]\n${fine}`,
    ['3:1  Key "models" cannot stand beside "slices", remove one of them'],
  ],
  [
    "all three",
    `${fine}slices: []\nmodules: {}\n`,
    [
      '4:1  Key "slices" cannot stand beside "models", remove one of them',
      '4:9  Key "slices" is an empty list, it needs at least one slice',
      '5:1  Key "modules" cannot stand beside "models", remove one of them',
      '5:10  Key "modules" is empty, it needs at least one module',
    ],
  ],
  ["none of the three, but one left blank", "merge_method: linear\nslices:\n", ['2:1  Key "slices" has no value']],
  [
    "misspelt slices, which are not missing as well",
    "merge_method: linear\nslcies: []\n",
    ['2:1  Unknown key "slcies", did you mean "slices"?'],
  ],
  ["slices as a mapping", slices(" { sources: [] }\n"), ['2:9  Key "slices" must be a list, found a mapping']],
  ["no slices", slices(" []\n"), ['2:9  Key "slices" is an empty list, it needs at least one slice']],
  [
    "slices that are not mappings",
    slices("\n  - [0, 8]\n  - ./a\n  -\n"),
    [
      '3:5  A slice must be a mapping like "- sources: […]", found a list',
      '4:5  A slice must be a mapping like "- sources: […]", found the string "./a"',
      '5:4  A slice must be a mapping like "- sources: […]", found nothing',
    ],
  ],
  ["a slice without sources", slices("\n  - base_model: ./a\n"), ['3:5  Missing key "sources"']],
  ["a slice with its sources left blank", slices("\n  - sources:\n"), ['3:5  Key "sources" has no value']],
  [
    "a slice with no sources",
    slices("\n  - sources: []\n"),
    ['3:14  Key "sources" is an empty list, it needs at least one source'],
  ],
  [
    "sources as a mapping",
    slices("\n  - sources: { model: ./a }\n"),
    ['3:14  Key "sources" must be a list, found a mapping'],
  ],
  [
    "a source that is a path",
    slices("\n  - sources: [./a]\n"),
    ['3:15  A source must be a mapping like "- { model: ./path, layer_range: [0, 8] }", found the string "./a"'],
  ],
  ["a source without a model", slices("\n  - sources: [{ layer_range: [0, 2] }]\n"), ['3:15  Missing key "model"']],
  ["a source without layers", slices("\n  - sources: [{ model: ./a }]\n"), ['3:15  Missing key "layer_range"']],
  ["a source with its layers left blank", source("layer_range:"), ['4:23  Key "layer_range" has no value']],
  [
    "a source at the slice's level",
    slices("\n  - model: ./a\n    layer_range: [0, 2]\n"),
    [
      `3:5  Unknown key "model", expected one of ${keys}`,
      '3:5  Missing key "sources"',
      `4:5  Unknown key "layer_range", expected one of ${keys}`,
    ],
  ],
  [
    "a misspelt layer range",
    source("layer_rnage: [0, 2]"),
    ['4:23  Unknown key "layer_rnage", did you mean "layer_range"?'],
  ],
  [
    "layers under whole models",
    "merge_method: linear\nmodels:\n  - model: ./a\n    layer_range: [0, 2]\n",
    ['4:5  Unknown key "layer_range", expected one of "model", "parameters"'],
  ],
  ["layers as text", source("layer_range: 0-8"), ['4:36  Key "layer_range" must be a list, found the string "0-8"']],
  ["layers as a number", source("layer_range: 8"), ['4:36  Key "layer_range" must be a list, found the number 8']],
  [
    "sources with different numbers of layers",
    slices(
      "\n  - sources:\n      - { model: ./a, layer_range: [0, 8] }\n      - { model: ./b, layer_range: [8, 16] }\n      - { model: ./c, layer_range: [0, 7] }\n      - { model: ./d, layer_range: [0, 9] }\n",
    ),
    [
      '6:36  "./c" gives 7 layers where "./a" gives 8: all sources of a slice give as many',
      '7:36  "./d" gives 9 layers where "./a" gives 8: all sources of a slice give as many',
    ],
  ],
  [
    "a mistake in a slice's parameters",
    slices(
      "\n  - sources: [{ model: ./a, layer_range: [0, 2], parameters: { weight: .nan } }]\n    parameters: { t: ~ }\n",
    ),
    ['3:72  Parameter "weight" must be finite, found the number NaN', '4:22  Parameter "t" has no value'],
  ],
  [
    "an unknown key of a slice",
    slices("\n  - sources: [{ model: ./a, layer_range: [0, 2] }]\n    base: ./a\n"),
    [`4:5  Unknown key "base", expected one of ${keys}`],
  ],
  [
    "an empty base model of a slice",
    slices("\n  - sources: [{ model: ./a, layer_range: [0, 2] }]\n    base_model: ''\n"),
    ['4:17  Key "base_model" is an empty string'],
  ],
  ...[
    ["[0]", "[0]"],
    ["[0, 2, 4]", "[0, 2, 4]"],
    ["[0, 1, 2, 3, 4]", "5 numbers"],
    ["[]", "[]"],
    ["[2, 2]", "[2, 2]"],
    ["[4, 2]", "[4, 2]"],
    ["[-1, 2]", "[-1, 2]"],
    ["[0, 1.5]", "[0, 1.5]"],
    ["[0, .inf]", "[0, Infinity]"],
    ["[0, 1e17]", "[0, 100000000000000000]"],
    ["[0, x]", 'the string "x" among them'],
    ["[[0], 2]", "a list among them"],
    ["[0, ~]", "nothing among them"],
  ].map(
    ([layers, found]): BadRecipe => [
      `the layers ${layers}`,
      source(`layer_range: ${layers}`),
      [`4:36  ${range} ${found}`],
    ],
  ),
];
