import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Certificates } from "./cluster/certificates.js";
import { repositoryPath } from "./repository.js";

/** What a test's machine has in other places than the one that the configuration is written for. */
export interface NatsPlace {
  /** Where the files are put. */
  readonly folder: string;
  /** The program that will read them. */
  readonly nats: string;
  readonly listen: string;
  readonly tls: Certificates;
  readonly data: string;
  /** @default "amalgam.conf", for one server */
  readonly file?: string;
}

/** The configuration that ships, with a test's paths in it; returns its path. */
export function configureNats({ folder, nats, listen, tls, data, file = "amalgam.conf" }: NatsPlace): string {
  cpSync(repositoryPath("deploy", "nats"), folder, { recursive: true });
  // As the file says: 2.9 does not know this line.
  const isOld = execFileSync(nats, ["--version"], { encoding: "utf8" }).includes("v2.9.");
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".conf"))) {
    const text = readFileSync(join(folder, name), "utf8")
      .replaceAll("/etc/amalgam/tls/ca.pem", tls.ca)
      .replaceAll("/etc/amalgam/tls/nats.pem", tls.certificate)
      .replaceAll("/etc/amalgam/tls/nats.key", tls.key)
      .replaceAll("/var/lib/nats", data)
      .replaceAll("0.0.0.0:4222", listen)
      .replaceAll(isOld ? /^ *sync_interval:.*$/gm : /(?!)/g, "");
    writeFileSync(join(folder, name), text);
  }
  return join(folder, file);
}
