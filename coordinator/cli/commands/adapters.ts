import { Option } from "commander";
import { withLocalAgents } from "../agent-options.js";
import { nonNegative, rank, repeatable } from "../options.js";
import type { Registration } from "./registration.js";

const factorDtypes = ["float32", "bfloat16", "float16"] as const;

export function registerAdapters({ amalgam, terminal, run }: Registration): void {
  const extract = amalgam
    .command("extract-lora")
    .description("extract a LoRA adapter (PEFT's format) from what fine-tuning changed")
    .argument("<output>", "the folder to make")
    .requiredOption(
      "--model <model>",
      "the fine-tuned model: a folder, owner/name[@revision] of the Hub, or an address",
    )
    .requiredOption("--base <model>", "what it was fine-tuned from")
    .addOption(new Option("--max-rank <n>", "largest rank of a module").argParser(rank).default(128))
    .addOption(
      new Option("--sv-epsilon <number>", "leave out singular values up to it").argParser(nonNegative).default(0),
    )
    .option("--distribute-scale", "the root of each singular value into either factor", true)
    .option("--no-distribute-scale", "each singular value into A")
    .option("--embed-lora", "factors for embeddings and head too, which are saved whole otherwise", false)
    .addOption(repeatable("--save-module <name>", "save a module whole"))
    .addOption(repeatable("-i, --include-regex <regex>", "only modules that one of them finds", "all"))
    .addOption(repeatable("-e, --exclude-regex <regex>", "no modules that one of them finds"))
    .option("--skip-undecomposable", "leave out what is no matrix, such as norms, instead of saving it whole", false)
    .addOption(new Option("--dtype <dtype>", "of the factors (default: the model's)").choices(factorDtypes));
  withLocalAgents(extract, "matrices")
    .option("--json", "one event per line for machines, instead of progress", false)
    .action((output, options) =>
      run(async () => (await import("../extract-lora.js")).extractLoraCommand(output, options, terminal)),
    );

  amalgam
    .command("merge-adapters")
    .description("merge LoRA adapters of one base into one adapter (PEFT's format)")
    .usage("[options] <adapter[:weight]>... <output>")
    .argument("<paths...>", "adapters, each with its weight (1 without), then the folder to make")
    .addOption(
      new Option("--method <method>", "svd: nearest of a rank; concatenate: exact, ranks add up; linear: A and B apart")
        .choices(["svd", "concatenate", "linear"] as const)
        .default("svd" as const),
    )
    .addOption(new Option("--rank <n>", "rank for svd (default: the largest of the adapters)").argParser(rank))
    .addOption(new Option("--dtype <dtype>", "of the factors").choices(factorDtypes).default("float32" as const))
    .option("--json", "for machines", false)
    .action((paths, options) =>
      run(async () => (await import("../merge-adapters.js")).mergeAdaptersCommand(paths, options, terminal)),
    );
}
