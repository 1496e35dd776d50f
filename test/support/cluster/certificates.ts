import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Authority,
  createAuthority,
  issue,
  type Subject,
  type Validity,
  validFor,
} from "../../../coordinator/certs/authority.js";
import { signRevocations } from "../../../coordinator/certs/revocations.js";
import type { Role } from "../../../shared/rpc/tls/identity.js";

/** Files in PEM, as one end of a connection is given them. */
export interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  /** A list of what is revoked. */
  readonly crl?: string | undefined;
}

/** What a test's certificate says, where it is not as usual. */
export interface CertificateOptions extends Partial<Subject> {
  readonly validity?: Validity;
}

/** An authority and the certificates that it signed, in a folder of a test's. */
export class TestAuthority {
  readonly #folder: string;
  readonly authority: Authority;

  private constructor(folder: string, authority: Authority) {
    this.#folder = folder;
    this.authority = authority;
  }

  /** `made`: one that there is, instead of a new one. */
  static async make(folder: string, name = "test authority", made?: Authority): Promise<TestAuthority> {
    mkdirSync(folder, { recursive: true });
    const authority = made ?? (await createAuthority(name, { from: new Date(0), to: validFor(400).to }));
    writeFileSync(join(folder, "ca.pem"), authority.certificate);
    return new TestAuthority(folder, authority);
  }

  get ca(): string {
    return join(this.#folder, "ca.pem");
  }

  /** Writes a list of these certificates alone, as `name`, and returns its path. */
  async revoke(name: string, ...revoked: readonly Certificates[]): Promise<string> {
    const on = new Date();
    const entries = revoked.map(({ certificate }) => {
      return { serial: new X509Certificate(readFileSync(certificate)).serialNumber, on };
    });
    const file = join(this.#folder, name);
    writeFileSync(file, await signRevocations(this.authority, entries, on));
    return file;
  }

  /** Files named for `name`, over those that are there. Default: for loopback, without a role. */
  async issue(name: string, options: CertificateOptions = {}): Promise<Certificates> {
    const { validity = validFor(2), ...subject } = options;
    const wanted = { name, roles: [], hosts: ["127.0.0.1", "localhost"], ...subject };
    const { certificate, key } = await issue(this.authority, wanted, validity);
    const files = {
      ca: this.ca,
      certificate: join(this.#folder, `${name}.pem`),
      key: join(this.#folder, `${name}.key`),
    };
    writeFileSync(files.key, key, { mode: 0o600 });
    writeFileSync(files.certificate, certificate);
    return files;
  }
}

/** One certificate for all of a test's hosts, which may be whoever it likes. */
export async function makeCertificates(
  folder: string,
  addresses: readonly string[],
  roles: readonly Role[] = ["agent", "coordinator", "operator"],
): Promise<Certificates> {
  const authority = await TestAuthority.make(folder);
  return await authority.issue("host", { name: "", roles, hosts: ["127.0.0.1", "localhost", ...addresses] });
}

export function tlsWords({ ca, certificate, key, crl }: Certificates): readonly string[] {
  const list = crl === undefined ? [] : ["--tls-crl", crl];
  return ["--tls-ca", ca, "--tls-cert", certificate, "--tls-key", key, ...list];
}
