import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createConfinement } from "../../../node-agent/roots.js";
import { temporaryFolder } from "../../support/dispatch.js";

async function folders() {
  const folder = await temporaryFolder();
  const [root, outside] = [join(folder.path, "root"), join(folder.path, "root-of-others")];
  await mkdir(join(root, "models"), { recursive: true });
  await mkdir(outside);
  await writeFile(join(root, "a"), "a");
  await writeFile(join(outside, "secret"), "s");
  return { root, outside, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test("createConfinement() lets files below a root through, resolved", async () => {
  await using given = await folders();
  const { readable, writable } = createConfinement([given.root]);
  expect(readable(join(given.root, "models/../a"))).toBe(join(given.root, "a"));
  expect(writable(join(given.root, "models/new"))).toBe(join(given.root, "models/new"));
});

test("createConfinement() follows links that stay inside, as those of a Hugging Face cache", async () => {
  await using given = await folders();
  await symlink("../a", join(given.root, "models/link"));
  expect(createConfinement([given.root]).readable(join(given.root, "models/link"))).toBe(join(given.root, "a"));
});

test("createConfinement() lets URLs below those among its roots through, and no others", async () => {
  await using given = await folders();
  const urls = ["https://host/models", "s3://bucket/a", "hf://owner", "hf://other/model"];
  const { fetchable, readable, roots } = createConfinement([given.root, ...urls]);
  expect(roots).toEqual([given.root]);
  for (const url of [
    "https://host/models/a/b.safetensors",
    "s3://bucket/a/b",
    "hf://owner/m@v1/f",
    "hf://other/model/f",
  ]) {
    expect(fetchable(url)).toBe(url);
    expect(() => readable(url)).toThrow(expect.objectContaining({ code: "path_refused" }));
  }
  const refused = [
    ...[
      "https://host/models-of-others/a",
      "https://host/models/../a",
      "https://host/models/%2e%2e/a",
      "https://other/models/a",
    ],
    ...[
      "s3://bucket/ab",
      "s3://other/a/b",
      "hf://owners/m/f",
      "hf://other/model-2/f",
      `${given.root}/a`,
      "file:///etc/passwd",
    ],
  ];
  for (const url of refused) {
    expect(() => fetchable(url), url).toThrow(expect.objectContaining({ code: "path_refused" }));
  }
  expect(() => createConfinement([given.root]).fetchable("hf://owner/m/f")).toThrow("no URL is among");
});

test.each(["https://host/a/../b", "http://host/a", "https://me:secret@host/a", "hf://../a"])(
  "createConfinement() takes no root such as %s",
  (root) => {
    expect(() => createConfinement([root])).toThrow(expect.objectContaining({ code: "usage" }));
    expect(() => createConfinement([root])).not.toThrow("secret");
  },
);

test("createConfinement() refuses what lies outside, however it is reached", async () => {
  await using given = await folders();
  await symlink(given.outside, join(given.root, "out"));
  await symlink(join(given.outside, "secret"), join(given.root, "file"));
  const { readable, writable } = createConfinement([given.root]);
  const paths = ["../root-of-others/secret", "out/secret", "file"].map((path) => `${given.root}/${path}`);
  for (const path of paths) {
    expect(() => readable(path)).toThrow(expect.objectContaining({ code: "path_refused" }));
    expect(() => writable(path)).toThrow(expect.objectContaining({ code: "path_refused" }));
  }
  expect(() => writable(join(given.root, "out/new"))).toThrow("it is outside");
});

test("createConfinement() does not write through a link to nothing", async () => {
  await using given = await folders();
  await symlink(join(given.outside, "new"), join(given.root, "dangling"));
  expect(() => createConfinement([given.root]).writable(join(given.root, "dangling"))).toThrow("Cannot write");
});

test("createConfinement() does not tell whether a file outside exists", async () => {
  await using given = await folders();
  const { readable } = createConfinement([given.root]);
  const message = (name: string): string => {
    try {
      return readable(join(given.outside, name));
    } catch (error) {
      return String(error).replace(name, "NAME");
    }
  };
  expect(message("secret")).toBe(message("absent"));
});

test("createConfinement() names a file inside that is missing", async () => {
  await using given = await folders();
  const { readable } = createConfinement([given.root]);
  expect(() => readable(join(given.root, "absent"))).toThrow("ENOENT");
  expect(() => readable("relative")).toThrow("not an absolute path");
  expect(() => readable(`${given.root}/a\0b`)).toThrow("not an absolute path");
});

test("createConfinement() wants roots that are folders", async () => {
  await using given = await folders();
  expect(() => createConfinement([join(given.root, "a")])).toThrow("it is not a folder");
  expect(() => createConfinement([join(given.root, "absent")])).toThrow("as a root: it does not exist");
});
