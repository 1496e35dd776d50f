import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Files in PEM: an authority, and one certificate that it signed for all of a test's hosts. */
export interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Why certificates cannot be made here, if they cannot. */
export function noOpenssl(): string | undefined {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "openssl, which makes the certificates, is not installed";
  }
}

export function makeCertificates(folder: string, addresses: readonly string[]): Certificates {
  mkdirSync(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  const openssl = (...argv: readonly string[]): void => {
    execFileSync("openssl", argv, { stdio: ["ignore", "ignore", "pipe"] });
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    at("ca.key"),
    "-out",
    at("ca.pem"),
    "-days",
    "2",
    "-subj",
    "/CN=test ca",
  );
  openssl("req", ...newKey, "-keyout", at("host.key"), "-out", at("host.csr"), "-subj", "/CN=test host");
  const names = ["IP:127.0.0.1", "DNS:localhost", ...addresses.map((address) => `IP:${address}`)];
  const extensions = `subjectAltName=${names.join(",")}\nextendedKeyUsage=serverAuth,clientAuth\n`;
  writeFileSync(at("host.ext"), extensions);
  const signed = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2"];
  openssl("x509", "-req", "-in", at("host.csr"), ...signed, "-extfile", at("host.ext"), "-out", at("host.pem"));
  return { ca: at("ca.pem"), certificate: at("host.pem"), key: at("host.key") };
}
