import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { followFiles, readCertificate } from "../../../shared/http/certificate.js";
import { type HttpSettings, openHttp } from "../../../shared/http/listen.js";
import type { Route } from "../../../shared/http/route.js";
import type { HttpTls } from "../../../shared/http/server.js";
import { noLog } from "../../../shared/log/log.js";
import { textLog } from "../../../shared/log/text-log.js";
import { loopback, readSecurity, reloadCredentials } from "../../../shared/rpc/security.js";
import { withTempDir } from "../../support/checkpoints.js";
import { type Certificates, TestAuthority } from "../../support/cluster/certificates.js";

// What is served to browsers on an address that others can reach.

const scratch = withTempDir();
let authority: TestAuthority;
beforeAll(async () => {
  authority = await TestAuthority.make((await scratch).path);
});
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

const routes: readonly Route[] = [{ method: "GET", path: "/", answer: () => ({ type: "text/plain", body: "here" }) }];

function settings(of: Partial<HttpSettings>): HttpSettings {
  return { host: "0.0.0.0", port: 0, token: undefined, files: undefined, security: loopback, ...of };
}

const securityOf = ({ ca, certificate, key }: Certificates) => readSecurity({ ca, certificate, key });

/** What somebody sees who shows no certificate: the server's, and its answer. */
async function visit(url: string, ca: string) {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port), ca: readFileSync(ca) });
  await once(socket, "secureConnect");
  const { serialNumber: serial, subject } = socket.getPeerCertificate();
  socket.end("GET / HTTP/1.1\r\nHost: anything.example\r\nConnection: close\r\n\r\n");
  const answer = Buffer.concat(await socket.toArray()).toString();
  return { name: String(subject.CN), serial, status: answer.split("\r\n")[0], body: answer.split("\r\n\r\n")[1] };
}

test("it shows a certificate of its own, and asks for none", async () => {
  const files = await authority.issue("page", { name: "page" });
  await using server = await openHttp(routes, settings({ files }), noLog);
  expect(server.url).toMatch(/^https:\/\/0\.0\.0\.0:\d+$/);
  expect(await visit(server.url, files.ca)).toMatchObject({ name: "page", status: "HTTP/1.1 200 OK", body: "here" });
});

test("or that of the cluster, and the next one as soon as it is in its place", async () => {
  const files = await authority.issue("node", { name: "node", roles: ["coordinator"] });
  await using server = await openHttp(routes, settings({ security: securityOf(files) }), noLog);
  const before = await visit(server.url, files.ca);
  await authority.issue("node", { name: "node", roles: ["coordinator"] });
  await reloadCredentials();
  expect((await visit(server.url, files.ca)).serial).not.toBe(before.serial);
});

test("a certificate of its own is followed, and one that is no use is told of once and not shown", async () => {
  const files = await authority.issue("own", { name: "first" });
  const told: string[] = [];
  const renewed: string[] = [];
  const log = textLog((line) => told.push(line));
  const onChange = ({ certificate }: HttpTls) => renewed.push(certificate.toString());
  const stop = followFiles(files, readCertificate(files), { onChange, log, lookMs: 10 });
  const good = readFileSync(files.certificate, "utf8");
  writeFileSync(files.certificate, "half of a renewal");
  await expect.poll(() => told).toHaveLength(1);
  expect(told[0]).toMatch(/^warning: HTTP goes on to show the certificate that it has, since ".*" and its key/);
  writeFileSync(files.certificate, `${good}\n`);
  await expect.poll(() => renewed).toEqual([`${good}\n`]);
  stop();
  expect(told).toEqual([expect.anything(), expect.stringMatching(/^HTTP shows the new certificate/)]);
});

test("whoever speaks plain HTTP to it is hung up on", async () => {
  const files = await authority.issue("plain");
  await using server = await openHttp(routes, settings({ files }), noLog);
  await expect(fetch(`http://127.0.0.1:${new URL(server.url).port}/`)).rejects.toThrow();
  expect((await visit(server.url, files.ca)).status).toBe("HTTP/1.1 200 OK");
});

test("a certificate and a key that do not fit together are refused before anything is served", async () => {
  const [one, other] = await Promise.all([authority.issue("one"), authority.issue("other")]);
  expect(() => readCertificate({ certificate: one.certificate, key: other.key })).toThrow(/Cannot use TLS files/);
  const nothing = join((await scratch).path, "nothing.pem");
  expect(() => readCertificate({ certificate: nothing, key: one.key })).toThrow(
    /Cannot read TLS file ".*nothing\.pem"/,
  );
  const text = join((await scratch).path, "text.pem");
  writeFileSync(text, "no certificate");
  expect(() => readCertificate({ certificate: text, key: one.key })).toThrow(/Cannot use TLS files/);
});
