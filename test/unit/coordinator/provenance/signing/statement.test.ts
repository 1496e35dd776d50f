import { expect, test } from "vitest";
import { formatStatement, parseStatement } from "../../../../../coordinator/provenance/signing/statement.js";

const files = [
  { name: "model.safetensors", sha256: "1".repeat(64) },
  { name: "README.md", sha256: "2".repeat(64) },
];

interface Statement {
  subject: { digest: { sha256: string } }[];
  predicateType: string;
  predicate: { resources: Record<string, unknown>[]; serialization: Record<string, unknown> };
}

function altered(change: (statement: Statement) => void): Buffer {
  const statement = JSON.parse(formatStatement(files).toString()) as Statement;
  change(statement);
  return Buffer.from(JSON.stringify(statement));
}

test("a statement comes back as it was written, and does not depend on the order of files", () => {
  const written = formatStatement(files);
  expect(parseStatement(written)).toEqual(files.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
  expect(formatStatement(files.toReversed())).toEqual(written);
});

test.each<[what: string, payload: Buffer, problem: RegExp]>([
  ["no JSON", Buffer.from("{"), /^it is no JSON$/],
  ["another predicate", altered((one) => (one.predicateType = "https://slsa.dev/provenance/v1")), /"predicateType"/],
  [
    "a name that leads out",
    altered((one) => Object.assign(one.predicate.resources[0] ?? {}, { name: "../x" })),
    /resources\.0\.name/,
  ],
  [
    "an absolute name",
    altered((one) => Object.assign(one.predicate.resources[0] ?? {}, { name: "/etc/passwd" })),
    /resources\.0\.name/,
  ],
  [
    "a weaker hash",
    altered((one) => Object.assign(one.predicate.resources[0] ?? {}, { algorithm: "md5" })),
    /algorithm/,
  ],
  ["no files", altered((one) => one.predicate.resources.splice(0)), /resources/],
  ["two subjects", altered((one) => one.subject.push(...one.subject)), /subject/],
  [
    "a file twice",
    altered((one) => Object.assign(one.predicate.resources[1] ?? {}, { name: "README.md" })),
    /names a file twice/,
  ],
  ["other files than its subject", altered((one) => one.predicate.resources.pop()), /not those that its subject/],
])("a statement with %s is not read", (_, payload, problem) => {
  expect(parseStatement(payload)).toMatch(problem);
});
