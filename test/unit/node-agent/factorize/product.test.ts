import { expect, test } from "vitest";
import { TileMemory } from "../../../../node-agent/compute/wasm/memory.js";
import { type Block, compileProduct } from "../../../../node-agent/factorize/product.js";
import { normals, seeded } from "../../../support/random.js";

test.each([
  [4, 4, 8],
  [8, 12, 16],
  [20, 260, 24],
  [4, 1024, 8],
])(
  "compileProduct() adds the product of %d × %d and … × %d, by the same bits as one in f32",
  (rows, inner, columns) => {
    const memory = new TileMemory(1 << 24);
    const addProduct = compileProduct(memory);
    const random = seeded(1);
    const block = (height: number, width: number): Block => {
      const made = { address: memory.allocate(height * width * 4, "a block"), rows: height, columns: width };
      view(made).set(normals(height * width, random));
      return made;
    };
    const view = ({ address, rows: height, columns: width }: Block): Float32Array =>
      new Float32Array(memory.memory.buffer, address, height * width);
    const [a, b, c] = [block(rows, inner), block(inner, columns), block(rows, columns)];
    const expected = view(c).slice();
    const { fround } = Math;
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        for (let from = 0; from < inner; from += 256) {
          let sum = 0;
          for (let k = from; k < Math.min(from + 256, inner); k += 1) {
            sum = fround(sum + fround((view(a)[row * inner + k] ?? 0) * (view(b)[k * columns + column] ?? 0)));
          }
          expected[row * columns + column] = fround((expected[row * columns + column] ?? 0) + sum);
        }
      }
    }
    addProduct(a, b, c);
    expect(Buffer.compare(Buffer.from(view(c).slice().buffer), Buffer.from(expected.buffer))).toBe(0);
  },
);
