import { type BadRecipe, fine } from "./row.js";

const tokenizer = (rest: string) => `${fine}tokenizer:${rest}`;
const token = (rest: string) => `${fine}tokenizer:\n  tokens:\n    "<x>": ${rest}\n`;

/** Mistakes in tokenizers and chat templates. */
export const badTokenizers: readonly BadRecipe[] = [
  [
    "a tokenizer and its short form",
    `${fine}tokenizer_source: union\ntokenizer: { source: base }\n`,
    ['5:1  Key "tokenizer" cannot stand beside "tokenizer_source", remove one of them'],
  ],
  [
    "a misspelt tokenizer",
    `${fine}tokeniser_source: union\n`,
    ['4:1  Unknown key "tokeniser_source", did you mean "tokenizer_source"?'],
  ],
  [
    "a tokenizer as a word",
    tokenizer(" union\n"),
    ['4:12  Key "tokenizer" must be a mapping, found the string "union"'],
  ],
  [
    "a tokenizer source that is a number",
    `${fine}tokenizer_source: 3\n`,
    ['4:19  Key "tokenizer_source" must be a string, found the number 3'],
  ],
  [
    "a tokenizer source with two LoRAs",
    `${fine}tokenizer_source: a+b+c\n`,
    [
      '4:19  Model "a+b+c" has more than one "+", which adds a LoRA: a path that holds one is written "{ model: { path: … } }"',
    ],
  ],
  [
    "an unknown key of the tokenizer",
    tokenizer(" { source: union, pad_to: 8 }\n"),
    ['4:29  Unknown key "pad_to", expected one of "source", "tokens", "pad_to_multiple_of"'],
  ],
  ["an empty source", tokenizer(" { source: '' }\n"), ['4:22  Key "source" is an empty string']],
  ["tokens as a list", tokenizer(" { tokens: ['<x>'] }\n"), ['4:22  Key "tokens" must be a mapping, found a list']],
  ["a token left blank", token(""), ['6:5  Token "<x>" must be a mapping like "{ source: ./path }", found nothing']],
  [
    "a token that is a model",
    token("./a"),
    ['6:12  Token "<x>" must be a mapping like "{ source: ./path }", found the string "./a"'],
  ],
  ["an unknown key of a token", token("{ src: ./a }"), ['6:14  Unknown key "src", expected one of "source", "force"']],
  [
    "a token forced by a word",
    token("{ source: ./a, force: maybe }"),
    ['6:34  Key "force" must be true or false, found the string "maybe"'],
  ],
  [
    "a token forced by a list",
    token("{ source: ./a, force: [true] }"),
    ['6:34  Key "force" must be true or false, found a list'],
  ],
  [
    "a token's source that is a number",
    token("{ source: 3 }"),
    ['6:22  Key "source" must be a string, found the number 3'],
  ],
  [
    "a token's source of an unknown kind",
    token("{ source: { kind: mean } }"),
    ['6:30  Key "kind" cannot be "mean", expected one of "model_token", "zero"'],
  ],
  [
    "a misspelt kind",
    token("{ source: { kind: modeltoken, model: ./a, token: b } }"),
    ['6:30  Key "kind" cannot be "modeltoken", did you mean "model_token"?'],
  ],
  [
    "a kind that is a number",
    token("{ source: { kind: 0 } }"),
    ['6:30  Key "kind" must be a string, found the number 0'],
  ],
  ["a kind left blank", token("{ source: { kind:, model: ./a } }"), ['6:24  Key "kind" has no value']],
  [
    "zero with a model",
    token("{ source: { kind: zero, model: ./a } }"),
    ['6:36  Unknown key "model", expected one of "kind"'],
  ],
  [
    "a model's token without a token",
    token("{ source: { kind: model_token, model: ./a } }"),
    ['6:22  Missing one of the keys "token", "token_id"'],
  ],
  [
    "a model's token without a model",
    token("{ source: { kind: model_token, token: b } }"),
    ['6:22  Missing key "model"'],
  ],
  [
    "a model's token by text and by number",
    token("{ source: { kind: model_token, model: ./a, token: b, token_id: 3 } }"),
    ['6:65  Key "token_id" cannot stand beside "token", remove one of them'],
  ],
  [
    "a token's text that is a number",
    token("{ source: { kind: model_token, model: ./a, token: 3 } }"),
    ['6:62  Key "token" must be a string, found the number 3'],
  ],
  [
    "a token's number below zero",
    token("{ source: { kind: model_token, model: ./a, token_id: -1 } }"),
    ['6:65  Key "token_id" must be a whole number from 0 to 9007199254740991, found the number -1'],
  ],
  [
    "a token's number that is a word",
    token("{ source: { kind: model_token, model: ./a, token_id: b } }"),
    ['6:65  Key "token_id" must be a whole number from 0 to 9007199254740991, found the string "b"'],
  ],
  [
    "a token's model with two revisions",
    token("{ source: { kind: model_token, model: a@b@c, token: b } }"),
    [
      '6:50  Model "a@b@c" has more than one "@", which gives a revision: a path that holds one is written "{ model: { path: … } }"',
    ],
  ],
  [
    "a token without a kind or a model",
    token("{ source: { token: b } }"),
    [
      '6:22  Missing key "model" in a model like "{ model: { path: ./a } }"',
      '6:24  Unknown key "token", expected one of "model", "lora", "override_architecture"',
    ],
  ],
  [
    "a chat template that is a mapping",
    `${fine}chat_template: { a: b }\n`,
    ['4:16  Key "chat_template" must be a string, found a mapping'],
  ],
  ["a chat template that is empty", `${fine}chat_template: ' '\n`, ['4:16  Key "chat_template" is an empty string']],
  ...[
    ["0", "the number 0"],
    ["-8", "the number -8"],
    ["1.5", "the number 1.5"],
    ["65537", "the number 65537"],
    [".inf", "the number Infinity"],
    ["x", 'the string "x"'],
    ["true", "true"],
    ["[8]", "a list"],
  ].map(
    ([multiple, found]): BadRecipe => [
      `padding to a multiple of ${multiple}`,
      tokenizer(` { pad_to_multiple_of: ${multiple} }\n`),
      [`4:34  Key "pad_to_multiple_of" must be a whole number from 1 to 65536, found ${found}`],
    ],
  ),
];
