import { expect, test } from "vitest";
import { parseHeader } from "../../../../shared/checkpoint/header.js";
import { lengthBytes } from "../../../../shared/checkpoint/header-limits.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { contextOf, header } from "../../../fuzz/targets/header.js";

// Mutations by chance are in test/fuzz/.

test("parseHeader() refuses every prefix of a header", () => {
  for (const file of header.seeds()) {
    const { fileBytes } = contextOf(file);
    const bytes = Buffer.from(Buffer.from(file.subarray(lengthBytes)).toString("latin1").trimEnd(), "latin1");
    for (let length = 0; length < bytes.length; length++) {
      const prefix = bytes.subarray(0, length);
      expect(() => parseHeader(prefix, { file: "x", fileBytes })).toThrow(AmalgamError);
    }
  }
});
