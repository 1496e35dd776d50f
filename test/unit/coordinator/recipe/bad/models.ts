import { type BadRecipe, fine } from "./row.js";

const models = (list: string) => `merge_method: linear\nmodels:${list}`;

/** Mistakes in the list of models. */
export const badModels: readonly BadRecipe[] = [
  ["models as a mapping", models("\n  model: ./a\n"), ['3:3  Key "models" must be a list, found a mapping']],
  ["models as a word", models(" ./a\n"), ['2:9  Key "models" must be a list, found the string "./a"']],
  ["no model", models(" []\n"), ['2:9  Key "models" is an empty list, it needs at least one model']],
  [
    "models that are not mappings",
    models("\n  - ./a\n  - 3\n  - [./b]\n  -\n"),
    [
      '3:5  A model must be a mapping like "- model: ./path", found the string "./a"',
      '4:5  A model must be a mapping like "- model: ./path", found the number 3',
      '5:5  A model must be a mapping like "- model: ./path", found a list',
      '6:4  A model must be a mapping like "- model: ./path", found nothing',
    ],
  ],
  ["a model without a model", models("\n  - parameters: { weight: 1 }\n"), ['3:5  Missing key "model"']],
  ["a model left blank", models("\n  - model:\n"), ['3:5  Key "model" has no value']],
  ["a model that is empty", models("\n  - model: ' '\n"), ['3:12  Key "model" is an empty string']],
  ["a model that is a number", models("\n  - model: 7\n"), ['3:12  Key "model" must be a string, found the number 7']],
  ["a misspelt model", models("\n  - modle: ./a\n"), ['3:5  Unknown key "modle", did you mean "model"?']],
  [
    "a parameter beside the model",
    models("\n  - model: ./a\n    weight: 1\n"),
    ['4:5  Unknown key "weight", expected one of "model", "parameters"'],
  ],
  [
    "parameters as a list",
    models("\n  - model: ./a\n    parameters: [1]\n"),
    ['4:17  Key "parameters" must be a mapping, found a list'],
  ],
  ["an empty base model", `${fine}base_model: ''\n`, ['4:13  Key "base_model" is an empty string']],
  [
    "the same mistake in every model",
    models("\n  - &m { modell: ./a }\n  - *m\n  - *m\n"),
    ['3:10  Unknown key "modell", did you mean "model"?'],
  ],
];
