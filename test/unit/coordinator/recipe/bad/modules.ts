import type { BadRecipe } from "./row.js";

const modules = (rest: string) => `merge_method: linear\nmodules:${rest}`;

/** Mistakes in the modules of a model that has several. */
export const badModules: readonly BadRecipe[] = [
  ["modules as a list", modules(" [text]\n"), ['2:10  Key "modules" must be a mapping, found a list']],
  ["no modules", modules(" {}\n"), ['2:10  Key "modules" is empty, it needs at least one module']],
  ["modules left blank", modules("\n"), ['2:1  Key "modules" has no value']],
  [
    "a module that is a list",
    modules("\n  text: [{ model: ./a }]\n"),
    ['3:9  Module "text" must be a mapping, found a list'],
  ],
  ["a module left blank", modules("\n  text:\n"), ['3:3  Module "text" must be a mapping, found nothing']],
  [
    "a module without models",
    modules("\n  text: { parameters: { weight: 1 } }\n"),
    ['3:9  Missing one of the keys "models", "slices"'],
  ],
  [
    "a module with models and slices",
    modules(
      "\n  text:\n    models: [{ model: ./a }]\n    slices: [{ sources: [{ model: ./a, layer_range: [0, 2] }] }]\n",
    ),
    ['5:5  Key "slices" cannot stand beside "models", remove one of them'],
  ],
  [
    "a module inside a module",
    modules("\n  text:\n    modules: {}\n"),
    ['4:5  Unknown key "modules", did you mean "models"?'],
  ],
  [
    "a base model of a module, which mergekit would not look at",
    modules("\n  text:\n    models: [{ model: ./a }]\n    base_model: ./a\n"),
    ['5:5  Unknown key "base_model", expected one of "models", "slices", "parameters"'],
  ],
  [
    "a module twice",
    modules("\n  text: { models: [{ model: ./a }] }\n  text: { models: [{ model: ./b }] }\n"),
    ['4:3  Key "text" appears twice, first on line 3'],
  ],
  [
    "mistakes in two modules",
    modules("\n  text: { models: [] }\n  vision: { slices: [{ sources: [{ model: ./a, layer_range: [1, 0] }] }] }\n"),
    [
      '3:19  Key "models" is an empty list, it needs at least one model',
      '4:61  Key "layer_range" must be two whole numbers, the first layer and the one after the last, such as [0, 8], found [1, 0]',
    ],
  ],
];
