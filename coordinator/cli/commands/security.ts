import { Option } from "commander";
import { repeatable, wholeNumber } from "../options.js";
import type { Registration } from "./registration.js";

export function registerSecurity({ amalgam, terminal, run }: Registration): void {
  amalgam
    .command("certs")
    .description("make an authority and certificates for a test cluster, renew or revoke them")
    .argument("<folder>", "where to make them; an authority that is there is used")
    .addOption(repeatable("--agent <name[=host,…]>", "an agent and where others reach it"))
    .addOption(repeatable("--coordinator <name[=host,…]>", "a coordinator; hosts are for its status page"))
    .addOption(repeatable("--operator <name>", "somebody who hands in, follows and cancels jobs"))
    .addOption(repeatable("--viewer <name>", "somebody who looks on"))
    .addOption(repeatable("--nats <host>", "where NATS is reached"))
    .option("--cluster <name>", "whose certificates they are, where one authority signs for several clusters")
    .addOption(new Option("--days <n>", "how long certificates count").argParser(wholeNumber).default(30))
    .addOption(
      repeatable("--revoke <name>", "one that is stolen, by its name in the folder, its file or its serial number"),
    )
    .option("--renew", "put new certificates in the place of those named, or of all", false)
    .option("--json", "for machines", false)
    .action((folder, options) => run(async () => (await import("../certs.js")).certs(folder, options, terminal)));
}
