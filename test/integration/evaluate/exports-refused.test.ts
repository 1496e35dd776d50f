import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bindExport } from "../../../coordinator/evaluate/exports/bind-export.js";
import { widen } from "../../../shared/checkpoint/convert.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../shared/errors.js";
import { TensorProto_DataLocation as DataLocation } from "../../../shared/gen/onnx/onnx_pb.js";
import {
  randomTensor,
  randomValues,
  type TestTensors,
  withTempDir,
  writeCheckpoint,
} from "../../support/checkpoints.js";
import { madeWeight } from "../../support/made-weights.js";
import { DataType, formatGraph } from "../../support/onnx.js";
import { repositoryPath } from "../../support/repository.js";

type Initializer = Parameters<typeof formatGraph>[0]["initializers"][number];

/** Writes an export of these weights and binds it to a checkpoint of those tensors; returns what goes wrong. */
async function complaint(initializers: readonly Initializer[], base: TestTensors): Promise<AmalgamError> {
  await using folder = await withTempDir();
  const path = join(folder.path, "model.onnx");
  await writeFile(path, formatGraph({ inputs: [], initializers, nodes: [], outputs: [] }));
  return await failure(path, await writeCheckpoint(join(folder.path, "base"), base));
}

async function failure(path: string, base: string): Promise<AmalgamError> {
  const error: unknown = await bindExport(path, await openCheckpoint(base)).catch((thrown: unknown) => thrown);
  if (error instanceof AmalgamError) return error;
  throw new Error("It did not fail as it should", { cause: error });
}

const values = randomValues(1, 2048);
const table = { table: { dtype: "F32", shape: [64, 32], values } } as const;
const float = (dims: readonly number[], numbers: readonly number[]): Initializer => {
  return { name: "val_1", dims: dims.map(BigInt), dataType: DataType.FLOAT, floatData: [...numbers] };
};

test.each<{ readonly what: string; readonly initializer: Initializer; readonly why: string }>([
  { what: "other numbers", initializer: float([64, 32], [...randomValues(2, 2048)]), why: '"val_1" [64, 32]\n' },
  {
    what: "scaled",
    initializer: float([64, 32], [...values.map((x) => x * 0.125)]),
    why: '"val_1" [64, 32]: "table" times 0.125\n',
  },
  {
    what: "reshaped",
    initializer: float([2, 32, 32], [...values]),
    why: '"val_1" [2, 32, 32]: "table" in another shape\n',
  },
  {
    what: "rows looked up, though few",
    initializer: float([1, 2, 32], [...values.subarray(64, 96), ...values.subarray(32, 64)]),
    why: '"val_1" [1, 2, 32]: rows of "table", looked up or repeated\n',
  },
  {
    what: "quantized",
    initializer: { name: "val_1", dims: [64n, 32n], dataType: DataType.INT8, rawData: new Uint8Array(2048) },
    why: '"val_1" [64, 32]: quantized\n',
  },
])("an export whose weights are not the base's is refused: $what", async ({ initializer, why }) => {
  const error = await complaint([initializer], table);
  expect(error.code).toBe("checkpoint_mismatch");
  expect(error.message).toContain("1 of its weights equal no tensor of base");
  expect(error.message).toContain(why);
  expect(error.message).toContain('Tensors that are not in it: "table".');
});

test("an export in FLOAT16 is not bound to an F32 base, though it is equal: other weights would be rounded", async () => {
  const half = {
    name: "val_1",
    dims: [64n, 32n],
    dataType: DataType.FLOAT16,
    rawData: new Uint8Array(4096).fill(0x3c),
  };
  const same = new Float32Array(2048).fill(widen("F16", Uint8Array.of(0x3c, 0x3c))[0] ?? 0);
  const error = await complaint([half], { table: { dtype: "F32", shape: [64, 32], values: same } });
  expect(error.message).toContain('"val_1" [64, 32]: "table" in another element type');
});

test("the class token that an exporter expanded for a fixed batch is seen", async () => {
  await using folder = await withTempDir();
  const text = await readFile(repositoryPath("test", "conformance", "exports", "vit.json"), "utf8");
  const { shapes } = JSON.parse(text) as { readonly shapes: Readonly<Record<string, readonly number[]>> };
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    return [name, { dtype: "F32", shape, values: madeWeight(name, shape) }] as const;
  });
  const base = await writeCheckpoint(folder.path, new Map(tensors));
  const { message } = await failure(repositoryPath("test", "conformance", "exports", "vit-dynamo.onnx"), base);
  expect(message).toContain('"expand" [2, 1, 24]: rows of "vit.embeddings.cls_token", looked up or repeated');
});

test.each([
  ["no protocol buffer", new Uint8Array([255, 255])],
  ["nothing", new Uint8Array()],
])("a file that is no ONNX model is refused by name: %s", async (_, bytes) => {
  await using folder = await withTempDir();
  const path = join(folder.path, "model.onnx");
  await writeFile(path, bytes);
  const error = await failure(path, await writeCheckpoint(join(folder.path, "base"), table));
  expect(error.code).toBe("checkpoint_malformed");
  expect(error.message).toContain(path);
});

test.each([
  { location: "../secret", offset: "0", code: "path_refused" },
  { location: "link", offset: "0", code: "path_refused" },
  { location: "gone", offset: "0", code: "checkpoint_malformed" },
  { location: "short", offset: "0", code: "checkpoint_malformed", named: "short" },
  { location: "short", offset: "-8", code: "checkpoint_malformed" },
])(
  "external data at $location is refused ($code, offset $offset)",
  async ({ location, offset, code, named = "val_1" }) => {
    await using folder = await withTempDir();
    const base = await writeCheckpoint(join(folder.path, "export"), { table: randomTensor(1, [64, 32]) });
    await writeFile(join(folder.path, "secret"), new Uint8Array(8192));
    await writeFile(join(folder.path, "export", "short"), new Uint8Array(3));
    await symlink(join("..", "secret"), join(folder.path, "export", "link"));
    const externalData = Object.entries({ location, offset, length: "8192" }).map(([key, value]) => ({ key, value }));
    const weight = { name: "val_1", dims: [64n, 32n], dataType: DataType.FLOAT, externalData };
    const initializers = [{ ...weight, dataLocation: DataLocation.EXTERNAL }];
    const path = join(folder.path, "export", "model.onnx");
    await writeFile(path, formatGraph({ inputs: [], initializers, nodes: [], outputs: [] }));
    const error = await failure(path, base);
    expect(error.code).toBe(code);
    expect(error.message).toContain(`${named}"`);
  },
);
