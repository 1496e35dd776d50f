import type { Registration } from "./registration.js";

export function registerInspecting({ amalgam, terminal, run }: Registration): void {
  amalgam
    .command("verify")
    .description("check an output against its manifest and its signature, offline")
    .argument("<output>", "a folder that Amalgam made, or s3://bucket/prefix")
    .option("--key <public.pem>", "whose signature it must have, on every file")
    .option("--json", "for machines", false)
    .action((output, options) => run(async () => (await import("../verify.js")).verify(output, options, terminal)));

  amalgam
    .command("diff")
    .description("compare two checkpoints tensor by tensor; exit code 1 if they differ")
    .argument("<a>", "a checkpoint: a folder, a file, owner/name[@revision] of the Hub, or an address")
    .argument("<b>", "another")
    .option("--json", "for machines", false)
    .action((a, b, options) => run(async () => (await import("../diff.js")).diff(a, b, options, terminal)));

  amalgam
    .command("gc")
    .description("remove what unfinished merges left below folders, where nobody can go on from it")
    .argument("<folders...>", "where outputs were made")
    .option(
      "--older-than <age>",
      'unfinished work too that could be gone on from, if nobody touched it for so long, such as "30d" (default: not)',
    )
    .option("--dry-run", "say what would be removed, and remove nothing", false)
    .option("--json", "for machines", false)
    .action((folders, options) => run(async () => (await import("../gc.js")).gc(folders, options, terminal)));
}
