import type { lookup } from "node:dns";
import { once } from "node:events";
import { createServer } from "node:http";
import { expect, test } from "vitest";
import { publicLookup } from "../../../../shared/remote/http/public-hosts.js";
import { openRemoteStore } from "../../../../shared/remote/open.js";
import { isPublicAddress } from "../../../../shared/remote/reach.js";
import { portOf } from "../../../support/remote/ports.js";
import { startStaticServer } from "../../../support/remote/static-server.js";

// What others write must not lead to hosts that only this machine sees.

test.each([
  ["93.184.215.14", true],
  ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", true],
  ["64:ff9b::5db8:d70e", true],
  ["127.0.0.1", false],
  ["0.0.0.0", false],
  ["10.1.2.3", false],
  ["100.64.0.1", false],
  ["169.254.169.254", false],
  ["172.31.255.255", false],
  ["192.168.1.1", false],
  ["255.255.255.255", false],
  ["::1", false],
  ["::", false],
  ["[::ffff:10.0.0.1]", false],
  ["::ffff:a9fe:a9fe", false],
  ["64:ff9b::a9fe:a9fe", false],
  ["64:ff9b::1", false],
  ["fd00:ec2::254", false],
  ["fe80::1%eth0", false],
  ["2002:a00:1::", false],
  ["host", false],
])("%s leads into the public Internet: %s", (address, isPublic) => {
  expect(isPublicAddress(address)).toBe(isPublic);
});

const resolveBoth = ((_: string, __: object, done: (error: null, found: object[]) => void) => {
  done(
    null,
    ["10.0.0.1", "93.184.215.14"].map((address) => ({ address, family: 4 })),
  );
}) as unknown as typeof lookup;

test.each([
  [[], ["93.184.215.14"]],
  [["host"], ["10.0.0.1", "93.184.215.14"]],
])(
  "of a name's addresses those are connected to that are public, or whose name is trusted: %j",
  (trusted, expected) => {
    publicLookup(new Set(trusted), resolveBoth)("host", { all: true }, (error, found) => {
      expect([error, found]).toEqual([null, expected.map((address) => ({ address, family: 4 }))]);
    });
  },
);

test.each([
  ["https://169.254.169.254/latest/meta-data", {}, "is not in the public Internet"],
  ["https://localhost:1/model", {}, "is not in the public Internet"],
  ["http://127.0.0.1:1/model", { roots: ["hf://owner"] }, 'reads models below "hf://owner" alone'],
  ["https://host/other", { roots: ["https://host/models"] }, 'reads models below "https://host/models" alone'],
  ["s3://other/model", { roots: ["s3://bucket"] }, 'reads models below "s3://bucket" alone'],
])("%s is refused to somebody else", async (url, reach, problem) => {
  const store = openRemoteStore({ reach, env: {}, patience: { tries: 1 } });
  try {
    const finding = store.find(url);
    await expect(finding).rejects.toMatchObject({ code: "source_refused" });
    await expect(finding).rejects.toThrow(problem);
    await expect(finding).rejects.toThrow("--allow-source");
  } finally {
    await store.close();
  }
});

test("a host that is named may be private, and may not lead to another one", async () => {
  let asked = 0;
  const inner = createServer((_, response) => {
    asked += 1;
    response.end("secret");
  }).listen(0, "127.0.0.2");
  await once(inner, "listening");
  await using outer = await startStaticServer({ "/models/a/model.safetensors": "12345678" }, (request, response) => {
    if (request.url?.startsWith("/models/b/") !== true) return false;
    response.writeHead(302, { location: `http://127.0.0.2:${portOf(inner)}/secret` }).end();
    return true;
  });
  const store = openRemoteStore({ reach: { roots: [`${outer.url}/models`] }, env: {}, patience: { tries: 1 } });
  try {
    expect([...(await store.find(`${outer.url}/models/a`)).files.keys()]).toEqual(["model.safetensors"]);
    await expect(store.find(`${outer.url}/models/b`)).rejects.toThrow("is not in the public Internet");
    expect(asked).toBe(0);
  } finally {
    await store.close();
    inner.close();
  }
});
