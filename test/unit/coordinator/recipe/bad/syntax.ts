import type { BadRecipe } from "./row.js";

/** Not YAML. */
export const badSyntax: readonly BadRecipe[] = [
  ["a tab", "models:\n\t- model: ./a\n", ["2:1  Not valid YAML: tabs are not allowed as indentation"]],
  [
    "two colons in a line",
    "merge_method: linear\nname: a: b\n",
    ['2:7  Not valid YAML: this value holds another key, check the indentation or quote it if ": " is part of it'],
  ],
  [
    "no colon",
    "merge_method linear\nmodels: []\n",
    ['1:1  Not valid YAML: this looks like a key without ": " and a value after it'],
  ],
  [
    "no space after a colon",
    "merge_method:linear\nmodels: []\n",
    ['1:1  Not valid YAML: this looks like a key without ": " and a value after it'],
  ],
  [
    "crooked indentation",
    "models:\n  - model: ./a\n base_model: ./b\n",
    ["3:1  Not valid YAML: all mapping items must start at the same column"],
  ],
  [
    "a directive that acts on the terminal",
    "%YAML 1.\u001d_\u202e\nname: x\n",
    ["1:7  Not valid YAML: unsupported YAML version 1.\\u001d_\\u202e"],
  ],
  ["an open quote", 'name: "linear\nseed: 1\n', ["3:1  Not valid YAML: a quoted string is still open here"]],
  [
    "an open bracket",
    "models: [{ model: ./a }\nseed: 1\n",
    ["2:1  Not valid YAML: a list or mapping in brackets is still open here"],
  ],
  ["a bracket too many", "models: []]\n", ['1:11  Not valid YAML: "]" is not expected here']],
  ["text after a string", "name: 'a' b\n", ['1:11  Not valid YAML: "b" is not expected here']],
  ["a reserved character", "name: @me\n", ["1:7  Not valid YAML: plain value cannot start with reserved character @"]],
  ["an unknown escape", 'name: "\\q"\n', ["1:8  Not valid YAML: invalid escape sequence \\q"]],
  ["a list as a key", "? [a]\n: b\n", ["1:3  Not valid YAML: a key must be a plain word"]],
  ["two anchors", "name: &a &b x\n", ["1:10  Not valid YAML: a node can have at most one anchor"]],
  [
    "a second error after the first",
    "models:\n\t- model: ./a\nname: 'a' b\n",
    ["2:1  Not valid YAML: tabs are not allowed as indentation"],
  ],
];
