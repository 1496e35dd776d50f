import { type BadRecipe, fine } from "./row.js";

const lora = 'A model with a LoRA, "model+lora", is not supported yet, merge the LoRA into it first';
const revision = 'A revision, "model@revision", is not supported yet, download it and give its path';

/** What mergekit understands and we don't yet. */
export const notYet: readonly BadRecipe[] = [
  [
    "slices, without models",
    "merge_method: linear\nslices:\n  - sources: []\n",
    ['2:1  Key "slices" is not supported yet, list whole models under "models"'],
  ],
  ["modules", `${fine}modules: {}\n`, ['4:1  Key "modules" is not supported yet, list whole models under "models"']],
  [
    "tokenizers and chat templates",
    `${fine}tokenizer_source: union\ntokenizer: { source: base }\nchat_template: auto\n`,
    [
      '4:1  Key "tokenizer_source" is not supported yet, merge models that share a tokenizer and leave it out',
      '5:1  Key "tokenizer" is not supported yet, merge models that share a tokenizer and leave it out',
      `6:1  Key "chat_template" is not supported yet, leave it out and edit the merged model's tokenizer_config.json`,
    ],
  ],
  [
    "a misspelt key of those",
    `${fine}tokeniser_source: union\n`,
    ['4:1  Unknown key "tokeniser_source", did you mean "tokenizer_source"?'],
  ],
  ["several documents", `${fine}---\n${fine}`, ["4:1  Several documents in one file are not supported yet"]],
  [
    "several documents and a mistake",
    `${fine}sed: 1\n---\nname: b\n`,
    ['4:1  Unknown key "sed", did you mean "seed"?', "5:1  Several documents in one file are not supported yet"],
  ],
  ["a LoRA", fine.replace("./a", "org/a+org/lora"), [`3:14  ${lora}`]],
  ["a revision", fine.replace("./a", "org/a@main"), [`3:14  ${revision}`]],
  ["a LoRA and a revision", fine.replace("./a", "org/a@main+lora"), [`3:14  ${lora}`]],
  ["a base model with a LoRA", `${fine}base_model: b+c\n`, [`4:13  ${lora}`]],
  [
    "a model as a mapping",
    fine.replace("./a", "{ model: { path: org/a, revision: main } }"),
    ["3:14  A model given as a mapping is not supported yet, give its path as a string"],
  ],
];
