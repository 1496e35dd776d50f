import { withLocalAgents } from "../agent-options.js";
import { repeatable } from "../options.js";
import type { Registration } from "./registration.js";

export function registerProvenance({ amalgam, terminal, run }: Registration): void {
  const reproduce = amalgam
    .command("reproduce")
    .description("make an output again from its manifest and compare every byte; exit code 1 if they differ")
    .argument("<manifest>", "an amalgam.json, or the folder of an output")
    .argument("[output]", "the folder to make (default: one for temporary files, removed again)")
    .addOption(repeatable("--model <name=path>", "where a model of the recipe is now"))
    .addOption(repeatable("--allow-host <host>", "ask this host for https:// models that the manifest names"))
    .option("--recipe-folder <folder>", "where the recipe lay: its paths are relative to it (default: the manifest's)")
    .option("--force", "try it with other kernels than it was made with, though bits may differ", false);
  withLocalAgents(reproduce, "units")
    .option("--json", "one event per line for machines, instead of progress", false)
    .action((manifest, output, options) =>
      run(async () => (await import("../reproduce.js")).reproduce(manifest, output, options, terminal)),
    );

  amalgam
    .command("sign")
    .description("sign an output with all its files, as in-toto and OpenSSF model-signing have it")
    .argument("[output]", "a folder that Amalgam made")
    .option("--key <key.pem>", "the private key (its passphrase, if it has one, in AMALGAM_SIGN_PASSPHRASE)")
    .option("--new-key <folder>", "make a pair of keys in this folder, and sign with it if there is an output")
    .option("--json", "for machines", false)
    .action((output, options) => run(async () => (await import("../sign.js")).sign(output, options, terminal)));
}
