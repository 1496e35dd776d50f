import type { lookup } from "node:dns";
import { once } from "node:events";
import { createServer } from "node:http";
import { isIP } from "node:net";
import { describe, expect, test } from "vitest";
import { Insiders } from "../../../../shared/remote/http/inside.js";
import { publicLookup } from "../../../../shared/remote/http/public-hosts.js";
import { openRemoteStore } from "../../../../shared/remote/open.js";
import { isPublicAddress } from "../../../../shared/remote/reach.js";
import { portOf } from "../../../support/remote/ports.js";
import { serveBytes } from "../../../support/remote/serve-bytes.js";
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
    publicLookup({ named: new Set(trusted), remedy: "" }, resolveBoth)("host", { all: true }, (error, found) => {
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

/** A server at a loopback address of its own that has a model, and another path that leads to `leadsTo()`. */
async function startLeading(host: string, leadsTo = (): string => "") {
  let asked = 0;
  const server = createServer((request, response) => {
    const { url = "" } = request;
    asked += 1;
    if (url.startsWith("/away/")) response.writeHead(302, { location: `${leadsTo()}/model.safetensors` }).end();
    else if (url === "/models/model.safetensors") serveBytes(request, response, Buffer.from("12345678"), '"1"');
    else response.writeHead(404).end();
  }).listen(0, host);
  await once(server, "listening");
  return {
    url: `http://${host}:${portOf(server)}`,
    get asked() {
      return asked;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("where an agent's servers lead", () => {
  // 127.0.0.1 stands for the public Internet, all other loopback addresses for what only this machine sees.
  const isPublic = (address: string): boolean => address === "127.0.0.1";
  const cases: readonly [string, string, string, boolean, string[]][] = [
    ["a public server leads to a private one", "127.0.0.1", "127.0.0.2", false, []],
    ["a public server leads to a private one that is a root as well", "127.0.0.1", "127.0.0.2", true, ["other"]],
    ["a public server leads to another public one", "127.0.0.1", "127.0.0.1", true, []],
    ["a private server leads to another private one", "127.0.0.2", "127.0.0.3", true, []],
    ["a private server leads to a public one", "127.0.0.2", "127.0.0.1", true, []],
  ];
  test.each(cases)("%s", async (_, from, to, isFollowed, more) => {
    await using other = await startLeading(to);
    await using root = await startLeading(from, () => `${other.url}/models`);
    const roots = [root.url, ...more.map(() => `${other.url}/elsewhere`)];
    const store = openRemoteStore({ roots, isPublic, env: {}, patience: { tries: 1 } });
    try {
      const found = store.find(`${root.url}/away/model.safetensors`).then(({ files }) => [...files.keys()]);
      if (isFollowed) expect(await found).toContain("model.safetensors");
      else {
        await expect(found).rejects.toMatchObject({
          code: "source_refused",
          message: expect.stringMatching(
            /^Cannot read "http:\/\/127\.0\.0\.2:\d+\/models\/model\.safetensors": its host is not in the public Internet; .* "--root" on that host/,
          ),
        });
      }
      expect(other.asked > 0).toBe(isFollowed);
    } finally {
      await store.close();
    }
  });

  test("a name that was private, and is public when it is connected to, is not connected to", async () => {
    let isLooking = true;
    const insiders = new Insiders((address) => !isLooking && isIP(address) !== 0);
    const look = async (): Promise<unknown> =>
      await new Promise((resolve) => {
        insiders.lookup("localhost", { all: true }, (error, found) => resolve(error ?? found));
      });
    expect(await insiders.isInside("localhost")).toBe(true);
    expect(await look()).toContainEqual(expect.objectContaining({ address: expect.stringMatching(/^127|::1/) }));
    isLooking = false;
    expect(String(await look())).toContain("localhost was in a private network, and is not any more");
    expect(await insiders.isInside("localhost")).toBe(false);
  });

  test("a name is held against what it stands for when it is connected to", async () => {
    await using other = await startLeading("127.0.0.1");
    await using root = await startLeading("127.0.0.2", () => other.url.replace("127.0.0.1", "localhost"));
    const isPublicHere = (address: string): boolean => address === "127.0.0.2";
    const store = openRemoteStore({ roots: [root.url], isPublic: isPublicHere, env: {}, patience: { tries: 1 } });
    try {
      await expect(store.find(`${root.url}/away/model.safetensors`)).rejects.toThrow("is not in the public Internet");
      expect(other.asked).toBe(0);
    } finally {
      await store.close();
    }
  });
});
