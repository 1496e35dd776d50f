import { describe, expect, test } from "vitest";
import { hubUrl } from "../../../../shared/remote/hub-address.js";
import {
  fileUrl,
  isBelow,
  isRemote,
  parseRemote,
  problemOfRoot,
  shown,
  splitFile,
} from "../../../../shared/remote/url.js";

describe("parseRemote()", () => {
  test.each([
    ["https://host/models/a", "https://host/models/a"],
    ["https://Host:443/models/a/", "https://host/models/a"],
    ["https://host:8443", "https://host:8443"],
    ["https://host/a%20b/%41.safetensors", "https://host/a%20b/A.safetensors"],
    ["https://host/a+b@c=d", "https://host/a+b@c=d"],
    ["https://host/ü", "https://host/%C3%BC"],
    ["HTTPS://host/a", "https://host/a"],
    ["http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"],
    ["http://localhost/a", "http://localhost/a"],
    ["http://[::1]:80/a", "http://[::1]/a"],
    ["s3://bucket", "s3://bucket"],
    ["s3://my-bucket/pre fix/a+b%/", "s3://my-bucket/pre fix/a+b%"],
    ["hf://owner/name", "hf://owner/name"],
    ["hf://owner/name@v1.0/", "hf://owner/name@v1.0"],
    ["hf://owner/name@refs/pr/7", "hf://owner/name@refs/pr/7"],
    ["hf://owner/name@refs/pr/7/sub/model.safetensors", "hf://owner/name@refs/pr/7/sub/model.safetensors"],
    ["hf://owner/name/sub/model.safetensors", "hf://owner/name/sub/model.safetensors"],
  ])("%s is %s, and so is that", (written, canonical) => {
    expect(parseRemote(written)).toMatchObject({ address: { url: canonical } });
    expect(parseRemote(canonical)).toMatchObject({ address: { url: canonical } });
  });

  test.each([
    ["https://user:secret@host/a", "~/.netrc"],
    ["https://user@host/a", "~/.netrc"],
    ["https://host/a/../b", '".."'],
    ["https://host/a/..", '".."'],
    ["https://host/./a", '".."'],
    ["https://host/%2e%2e/b", "escaped"],
    ["https://host/%2E./b", "escaped"],
    ["https://host/a%2fb", "escaped"],
    ["https://host/a%252Fb", "escaped"],
    ["https://host/a%5cb", "escaped"],
    ["https://host/a\\b", "backslash"],
    ["https://host/a#b", "#"],
    ["https://host/a?X-Amz-Signature=abc", "secret"],
    ["https://host//a", "empty part"],
    ["https://host/a\nb", "control"],
    ["https://host/a\u202eb", "control"],
    ["https://host/%0a", "escaped wrongly"],
    ["https://host/%zz", "escaped wrongly"],
    ["https:///a", "empty part"],
    ["https://ho st/a", "no host"],
    ["http://host/a", "https://"],
    ["http://127.0.0.1.example/a", "https://"],
    ["s3://Bucket/a", "bucket"],
    ["s3://b/a", "bucket"],
    ["s3://bucket/../other", '".."'],
    ["hf://name", "owner/name"],
    ["hf://owner/name@", "no revision"],
    ["hf://owner/na--me", "no name"],
    ["hf://-owner/name", "no name"],
    ["hf://owner/name@a..b", "no revision"],
    ["hf://owner/name@main/../../other/secret", '".."'],
    ["hf://owner/name@main@two", "no revision"],
    ["hf://owner/name/sub%0aother", "control"],
    ["ftp://host/a", "ftp"],
    ["/models/a", "no address"],
  ])("%j is refused: %s", (written, reason) => {
    expect(parseRemote(written).problem).toContain(reason);
    expect(parseRemote(written).problem).not.toContain("secret@");
  });
});

test.each([
  ["hf://owner/name@0123/model.safetensors", "hf://owner/", true],
  ["hf://owner/name@0123/model.safetensors", "hf://owner", true],
  ["hf://owner/name@0123/model.safetensors", "hf://owner/name", true],
  ["hf://owner/name@0123/model.safetensors", "hf://owner/name@0123", true],
  ["hf://owner/name@0123/model.safetensors", "hf://owner/name@0124", false],
  ["hf://owner/name2@0123/model.safetensors", "hf://owner/name", false],
  ["hf://owner2/name/model.safetensors", "hf://owner/", false],
  ["hf://owner/name/sub/a", "hf://owner/name/sub", true],
  ["hf://owner/name/submarine/a", "hf://owner/name/sub", false],
  ["https://host/models/a/b", "https://host/models/", true],
  ["https://host/models", "https://host/models", true],
  ["https://host/models2/a", "https://host/models", false],
  ["https://host/models/../secret", "https://host/models", false],
  ["https://host:444/models/a", "https://host/models", false],
  ["https://host.evil/models/a", "https://host", false],
  ["http://localhost/models/a", "https://localhost/models", false],
  ["s3://bucket/a/b", "s3://bucket/", true],
  ["s3://bucket2/a/b", "s3://bucket", false],
  ["s3://bucket/a/b", "s3://bucket/a", true],
  ["/models/a", "/models", false],
])("%s lies below %s: %s", (url, root, expected) => {
  expect(isBelow(url, root)).toBe(expected);
});

test.each([
  ["hf://owner/", true],
  ["hf://owner/name", true],
  ["https://host/models/", true],
  ["s3://bucket", true],
  ["http://host/models/", false],
  ["hf://", false],
])("agents may be given the root %s: %s", (root, expected) => {
  expect(problemOfRoot(root) === undefined).toBe(expected);
});

test.each([
  ["owner/name", undefined, "hf://owner/name"],
  ["owner/name@main", undefined, "hf://owner/name@main"],
  ["owner/name", "v2", "hf://owner/name@v2"],
  ["name", undefined, undefined],
  ["./owner/name", undefined, undefined],
  ["../name", undefined, undefined],
  ["a/b/c", undefined, undefined],
  ["/models/name", undefined, undefined],
])("%s at %s in a recipe is %s", (text, revision, expected) => {
  expect(hubUrl(text, revision)).toBe(expected);
});

test.each([
  ["https://host/a", true],
  ["http://host/a", true],
  ["hf://owner/name", true],
  ["s3://bucket", true],
  ["node://agent/a", false],
  ["./hf/a", false],
  ["owner/name", false],
])("%s is meant as an address on a server: %s", (name, expected) => {
  expect(isRemote(name)).toBe(expected);
});

test("shown() leaves out signatures, and logins", () => {
  expect(shown("https://host/a?X-Amz-Signature=abc#d")).toBe("https://host/a");
  expect(shown("https://user:secret@host/a")).toBe("https://host/a");
  expect(shown("HTTPS://user:secret@host/a")).toBe("HTTPS://host/a");
  expect(shown("https:/user:secret@host/a")).toBe("https:/host/a");
  expect(shown("https://host/a@b")).toBe("https://host/a@b");
  expect(shown("hf://owner/name@main")).toBe("hf://owner/name@main");
});

test("a file's URL is its folder's and its name, and the other way round", () => {
  for (const folder of ["https://host", "https://host/a", "hf://owner/name@main", "s3://bucket/a"]) {
    const url = fileUrl(folder, "model 1.safetensors");
    const { address } = parseRemote(url);
    expect(address && splitFile(address)).toEqual({ folder, name: "model 1.safetensors" });
  }
});
