import type { Registration } from "./registration.js";

export function registerSources({ amalgam, terminal, run }: Registration): void {
  amalgam
    .command("download")
    .description("put models of the Hub, of web servers or of S3 on this machine; prints the folder of each")
    .argument("<models...>", '"owner/name[@revision]", "hf://…", "https://…" or "s3://…"')
    .option("--json", "for machines", false)
    .action((models, options) => run(async () => (await import("../download.js")).download(models, options, terminal)));
}
