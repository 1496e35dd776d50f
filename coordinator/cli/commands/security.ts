import { Option } from "commander";
import { wholeNumber } from "../options.js";
import type { Registration } from "./registration.js";

export function registerSecurity({ amalgam, terminal, run }: Registration): void {
  const each = (word: string, before: readonly string[]): readonly string[] => [...before, word];
  const one = (flags: string, description: string): Option =>
    new Option(flags, description).argParser(each).default([]);
  amalgam
    .command("certs")
    .description("make an authority and certificates for a test cluster, or renew them")
    .argument("<folder>", "where to make them; an authority that is there is used")
    .addOption(one("--agent <name[=host,…]>", "an agent and where others reach it; repeatable"))
    .addOption(one("--coordinator <name[=host,…]>", "a coordinator; hosts are for its status page; repeatable"))
    .addOption(one("--operator <name>", "somebody who hands in, follows and cancels jobs; repeatable"))
    .addOption(one("--viewer <name>", "somebody who looks on; repeatable"))
    .addOption(one("--nats <host>", "where NATS is reached; repeatable"))
    .option("--cluster <name>", "whose certificates they are, where one authority signs for several clusters")
    .addOption(new Option("--days <n>", "how long certificates count").argParser(wholeNumber).default(30))
    .option("--renew", "put new certificates in the place of those named, or of all", false)
    .option("--json", "for machines", false)
    .action((folder, options) => run(async () => (await import("../certs.js")).certs(folder, options, terminal)));
}
