import { readdirSync, readFileSync } from "node:fs";
import { bindParameters } from "../../../coordinator/recipe/bind.js";
import { parseRecipes } from "../../../coordinator/recipe/parse.js";
import { methods } from "../../../shared/methods/index.js";
import { repositoryPath } from "../../support/repository.js";
import { mutateBytes } from "../mutate/bytes.js";
import { type FuzzTarget, refusal, type Verdict } from "../target.js";

const merging = [...methods.values()];

/** A recipe's text, up to the value of every parameter. */
export const recipe: FuzzTarget = {
  name: "recipe",
  seeds: () => {
    const folder = repositoryPath("test/fixtures/recipes");
    return readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`));
  },
  mutate: mutateBytes([
    ..."{}[]:,-?&*!|>'\"%@`#~\\\t\n\r\0 ",
    ...[
      "---\n",
      "...\n",
      "<<: ",
      "&a ",
      "*a",
      "!!js/function ",
      "!!map ",
      "!!binary ",
      "%YAML 1.1\n",
      "\r\n",
      "\uFEFF",
    ],
    ...[
      "merge_method: ",
      "models:",
      "- model: ",
      "parameters:",
      "weight: ",
      "filter: ",
      "value: ",
      "seed: ",
      "dtype: ",
    ],
    ...["slices:", "sources:", "layer_range: [0, 2]", "modules:", "tokenizer:", "kind: ", "name: ", "a+b", "a@b"],
    ...[
      "base_model: ",
      "tokenizer_source: union",
      "chat_template: ",
      "[0, 0.5, 1]",
      "hf://a/b@c",
      "s3://b/p",
      "node://a/",
    ],
    ...[".nan", ".inf", "1e999", "null", "true", "off", "__proto__: ", "[[[[", "{{{{", "- - - ", "\u2028"],
    ...merging.map(({ name }) => name),
  ]),
  run: (bytes) => {
    const text = Buffer.from(bytes).toString("utf8");
    const lines = text.split("\n").length;
    try {
      const { stages } = parseRecipes(text, "f");
      // Which method is bound follows from the text, so that an input always does the same.
      const method = merging[bytes.length % merging.length];
      return method === undefined
        ? "accepted"
        : `accepted, ${stages.map((stage) => bind(stage, method, lines)).join()}`;
    } catch (error) {
      return complaints(error, lines);
    }
  },
  covers: /^coordinator\/recipe\//,
};

type Stage = Parameters<typeof bindParameters>[0];

function bind(stage: Stage, method: Parameters<typeof bindParameters>[1], lines: number): Verdict {
  try {
    const slices = bindParameters(stage, method).modules.flatMap((module) => module.slices);
    for (const settings of slices.flatMap(({ perSource, base, merge }) => [...perSource, base, merge])) {
      for (const setting of settings.values()) {
        setting("model.layers.1.mlp.up_proj.weight", { index: 1, count: 3 });
        setting("lm_head.weight", undefined);
      }
    }
    return "bound";
  } catch (error) {
    return complaints(error, lines);
  }
}

/** Each line of the complaint points into the text. */
function complaints(error: unknown, lines: number): Verdict {
  const verdict = refusal(error, ["recipe_invalid"]);
  for (const line of (error as Error).message.split("\n")) {
    const place = /^f:(\d+):(\d+) {2}\S.*$/.exec(line);
    if (place === null || Number(place[1]) > lines) throw new TypeError(`It points nowhere: ${line}`, { cause: error });
  }
  // The first complaint is enough to tell inputs apart.
  return (verdict.split("\n")[0] ?? "").slice(0, 90);
}
