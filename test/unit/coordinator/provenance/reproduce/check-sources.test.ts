import { expect, test } from "vitest";
import type { SourceFacts } from "../../../../../coordinator/provenance/facts.js";
import { assertUnchanged, findChanges } from "../../../../../coordinator/provenance/reproduce/check-sources.js";

const [one, two] = ["1".repeat(64), "2".repeat(64)];
const file = (name: string, bytes = 8, headerSha256 = one) => ({ name, bytes, headerSha256 });
const small = (name: string, sha256 = one) => ({ name, bytes: 1, sha256 });

const before: readonly SourceFacts[] = [
  { name: "a", files: [file("x.safetensors"), file("y.safetensors")], small: [small("config.json")] },
  { name: "b", files: [file("z.safetensors")] },
];

test("findChanges() finds nothing where nothing changed, in whatever order models come", () => {
  expect(findChanges(before, before)).toEqual([]);
  expect(findChanges(before, before.toReversed())).toEqual([]);
});

test.each<[what: string, found: SourceFacts, change: string]>([
  ["another size", { name: "b", files: [file("z.safetensors", 9)] }, '"z.safetensors" has 9 bytes and had 8'],
  [
    "another header",
    { name: "b", files: [file("z.safetensors", 8, two)] },
    'the header of "z.safetensors" was changed',
  ],
  [
    "a file less",
    { name: "a", files: [file("x.safetensors")], small: [small("config.json")] },
    'it has no "y.safetensors" any more',
  ],
  [
    "a file more",
    { name: "b", files: [file("z.safetensors"), file("w.safetensors")] },
    'it has "w.safetensors" besides',
  ],
  [
    "another config",
    { ...(before[0] as SourceFacts), small: [small("config.json", two)] },
    `"config.json" was changed: its SHA-256 is ${two} and was ${one}`,
  ],
  ["no config", { ...(before[0] as SourceFacts), small: [] }, 'it has no "config.json" any more'],
])("findChanges() names model and file for %s", (_, found, change) => {
  expect(findChanges(before, [found])).toEqual([`Model "${found.name}" is another: ${change}`]);
});

test("assertUnchanged() lists the first changes of many, and how many more there are", () => {
  const files = Array.from({ length: 30 }, (_, i) => file(`${i}.safetensors`));
  const found = [{ name: "a", files: files.map((each) => ({ ...each, bytes: 9 })) }];
  expect(() => assertUnchanged([{ name: "a", files }], found)).toThrow(
    /^Cannot reproduce it .*\n(?:Model .*\n){20}And 10 more changes$/,
  );
});
