import { isAbsolute, join, resolve } from "node:path";
import { formatIndex, parseIndex } from "../../../shared/checkpoint/index-json.js";
import { mutateBytes } from "../mutate/bytes.js";
import { assertHolds, type FuzzTarget, verdictOf } from "../target.js";

const folder = "/models/model";

/** `model.safetensors.index.json`, which names files. */
export const index: FuzzTarget = {
  name: "index",
  seeds: () =>
    [
      formatIndex(
        new Map([
          ["a", "model-00001-of-00002.safetensors"],
          ["b", "model-00002-of-00002.safetensors"],
        ]),
        24,
      ),
      '{"metadata":{"total_size":24.0,"x":[1,{"y":null}],"z":true},"weight_map":{"__proto__":"x.safetensors"},"e":-1.5e3}',
    ].map((text) => Buffer.from(text)),
  mutate: mutateBytes([
    ...'{}[],:"\\ .\u0000\n%',
    ...['"weight_map":', '"metadata":', '"total_size":', "null", "true", "false", "NaN", "-Infinity", "[[[[", "\ufeff"],
    ...[
      "../",
      "..\\\\",
      "/etc/passwd",
      "%2e%2e%2f",
      "C:",
      "..",
      ".safetensors",
      ".bin",
      "\\u002e\\u002e\\u002f",
      "\\u202e",
    ],
  ]),
  run: (bytes) =>
    verdictOf(["checkpoint_malformed", "path_refused"], () => {
      const { weightMap, totalSize } = parseIndex(bytes, "model.safetensors.index.json");
      for (const shard of weightMap.values()) {
        const path = resolve(folder, decodeURIComponent(shard.replaceAll("%", "%25")));
        assertHolds(path === join(folder, shard) && !isAbsolute(shard), `${shard} is not in the folder`);
        assertHolds(path.lastIndexOf("/") === folder.length, `${shard} is in another folder`);
        assertHolds(!/[\\/\0]|%2f/i.test(shard), `${shard} is a path elsewhere`);
      }
      const again = parseIndex(Buffer.from(formatIndex(weightMap, totalSize ?? 0)), "index");
      const parsed = JSON.parse(new TextDecoder().decode(bytes).replaceAll(/-?(?:NaN|Infinity)/g, "0"));
      assertHolds(again.weightMap.size === weightMap.size, "it is written otherwise");
      assertHolds(Object.keys(parsed.weight_map).length === weightMap.size, "it has another number of tensors");
    }),
  covers: /^shared\/checkpoint\/(?:index-json|json-scanner|json-string|json-value|shard-name|numbers)/,
};
