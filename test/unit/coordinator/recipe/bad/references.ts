import { type BadRecipe, fine } from "./row.js";

const remedy = 'a path that holds one is written "{ model: { path: … } }"';
const spelling = 'it is written "path[@revision][+lora[@revision]]"';
const keys = '"model", "lora", "override_architecture"';

const model = (reference: string) => `merge_method: linear\nmodels:\n  - model: ${reference}\n`;

/** Mistakes in which model is meant. */
export const badReferences: readonly BadRecipe[] = [
  ["two LoRAs", model("org/a+b+c"), [`3:12  Model "org/a+b+c" has more than one "+", which adds a LoRA: ${remedy}`]],
  [
    "two revisions",
    model("org/a@b@c"),
    [`3:12  Model "org/a@b@c" has more than one "@", which gives a revision: ${remedy}`],
  ],
  [
    "two revisions of a LoRA",
    model("org/a@b+c@d@e"),
    [`3:12  Model "org/a@b+c@d@e" has more than one "@", which gives a revision: ${remedy}`],
  ],
  ["a LoRA of nothing", model("+lora"), [`3:12  Model "+lora" has an empty part, ${spelling}`]],
  ["no LoRA after all", model("org/a+"), [`3:12  Model "org/a+" has an empty part, ${spelling}`]],
  ["no revision after all", model("org/a@"), [`3:12  Model "org/a@" has an empty part, ${spelling}`]],
  ["a revision of nothing", model("'@main'"), [`3:12  Model "@main" has an empty part, ${spelling}`]],
  [
    "a LoRA without a revision after all",
    model("org/a+lora@ "),
    [`3:12  Model "org/a+lora@" has an empty part, ${spelling}`],
  ],
  [
    "a base model with two LoRAs",
    `${fine}base_model: b+c+d\n`,
    [`4:13  Model "b+c+d" has more than one "+", which adds a LoRA: ${remedy}`],
  ],
  [
    "a path where a model should be",
    model("{ path: org/a, revision: main }"),
    [
      '3:12  Missing key "model" in a model like "{ model: { path: ./a } }"',
      `3:14  Unknown key "path", expected one of ${keys}`,
      `3:27  Unknown key "revision", expected one of ${keys}`,
    ],
  ],
  [
    "a mapping without a model",
    model("{ lora: org/l }"),
    ['3:12  Missing key "model" in a model like "{ model: { path: ./a } }"'],
  ],
  ["an empty mapping", model("{}"), ['3:12  Missing key "model" in a model like "{ model: { path: ./a } }"']],
  [
    "a mapping with a misspelt LoRA",
    model("{ model: org/a, laro: org/l }"),
    [`3:28  Unknown key "laro", expected one of ${keys}`],
  ],
  ["a model's path left blank", model("{ model: { path: } }"), ['3:23  Key "path" has no value']],
  [
    "a model's path that is a number",
    model("{ model: { path: 3 } }"),
    ['3:29  Key "path" must be a string, found the number 3'],
  ],
  [
    "a revision that is a number",
    model("{ model: { path: org/a, revision: 3 } }"),
    ['3:46  Key "revision" must be a string, found the number 3'],
  ],
  [
    "an unknown key of a path",
    model("{ model: { path: org/a, version: 3 } }"),
    ['3:36  Unknown key "version", expected one of "path", "revision"'],
  ],
  ["a model that is a list", model("{ model: [org/a] }"), ['3:21  Key "model" must be a string, found a list']],
  ["a LoRA that is empty", model("{ model: org/a, lora: '' }"), ['3:34  Key "lora" is an empty string']],
  ["a LoRA without a path", model("{ model: org/a, lora: { revision: b } }"), ['3:34  Missing key "path"']],
  [
    "two revisions inside a mapping",
    model("{ model: org/a@b@c }"),
    [`3:21  Model "org/a@b@c" has more than one "@", which gives a revision: ${remedy}`],
  ],
  [
    "an architecture that is a list",
    model("{ model: org/a, override_architecture: [x] }"),
    ['3:51  Key "override_architecture" must be a string, found a list'],
  ],
  ["a model that is true", model("true"), ['3:12  Key "model" must be a string, found true']],
];
