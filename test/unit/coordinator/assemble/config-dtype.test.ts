import { expect, test } from "vitest";
import { uniformDtype, withDtype } from "../../../../coordinator/assemble/config-dtype.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { makePlan } from "../../../support/plans.js";

test("withDtype() changes the dtype and not one other byte", () => {
  const config = `{
  "rope_theta": 10000.0, "big": 12345678901234567890,
  "torch_dtype": "float32",
  "text_config": { "torch_dtype": "float32" },
  "time_step_limit": [0.0, Infinity],
    "dtype" : "float32", "é": "\\u00e9"}
`;
  expect(withDtype(config, "bfloat16")).toBe(
    config
      .replace('"torch_dtype": "float32",\n', '"torch_dtype": "bfloat16",\n')
      .replace('"dtype" : "float32"', '"dtype" : "bfloat16"'),
  );
});

test("withDtype() leaves a config alone that has no dtype, or none that is a string", () => {
  for (const config of ["{}", '{"torch_dtype": null}', '{"a": {"dtype": "float32"}}']) {
    expect(withDtype(config, "bfloat16")).toBe(config);
  }
});

test("uniformDtype() is the one floating-point dtype of the output, and undefined when there are several", async () => {
  await using dir = await withTempDir();
  const dtypes = [
    [["BF16", "I64"], "bfloat16"],
    [["F32"], "float32"],
    [["BF16", "F32"], undefined],
    [["F8_E4M3"], undefined],
    [["I64"], undefined],
  ] as const;
  for (const [list, expected] of dtypes) {
    const plan = await makePlan(dir.path, { files: [list.map((dtype) => [`t-${dtype}`, dtype, [8]] as const)] });
    expect(uniformDtype(plan)).toBe(expected);
  }
});
