import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Filter } from "../../../coordinator/evaluate/images/filters.js";
import { resize } from "../../../coordinator/evaluate/images/resize.js";
import { madeWeight } from "../../support/made-weights.js";
import { repositoryPath } from "../../support/repository.js";

// Byte for byte what Pillow makes of the same noise, see images_resize.py.

type Size = readonly [height: number, width: number];

interface Golden {
  readonly cases: readonly {
    readonly filter: Filter;
    readonly from: Size;
    readonly to: Size;
    readonly bytes: string;
  }[];
}

const golden: Golden = JSON.parse(readFileSync(repositoryPath("test/conformance/graphs/images-resize.json"), "utf8"));

test.each(golden.cases)("$filter, $from to $to", ({ filter, from: [height, width], to, bytes }) => {
  const noise = madeWeight("pixels", [height, width, 3]);
  const pixels = Uint8Array.from(noise, (value) => Math.floor((value + 1) * 128));
  const resized = resize({ height, width, channels: 3, pixels }, to[1], to[0], filter);
  expect([resized.height, resized.width]).toEqual(to);
  expect(Buffer.from(resized.pixels).toString("base64")).toBe(bytes);
});
