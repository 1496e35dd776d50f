import { Option } from "commander";
import { withRunOptions } from "../agent-options.js";
import { startEarly } from "../early-agents.js";
import { wholeNumber, withSizes } from "../options.js";
import type { Registration } from "./registration.js";

export function registerMerging({ amalgam, terminal, run }: Registration): void {
  withRunOptions(amalgam.command("merge"))
    .description("merge the models of a recipe, wherever they are; run again after a crash, it goes on where it was")
    .argument("<recipe>", "a mergekit recipe (YAML)")
    .argument("<output>", "the folder to make, or s3://bucket/prefix")
    .option("--http <host:port>", "serve the status page of this merge while it runs (default: not)")
    .action((recipe, output, options) =>
      run(async () => {
        await using early = startEarly(options, terminal);
        return await (await import("../merge.js")).merge(recipe, output, { ...options, early }, terminal);
      }),
    );

  const plan = amalgam
    .command("plan")
    .description("check a recipe and say what merging it takes, from headers alone, also of models on servers")
    .argument("<recipe>", "a mergekit recipe (YAML)")
    .option("--json", "for machines", false)
    .option("--strict", "warnings are failures: exit code 1", false)
    .addOption(new Option("--agents <n>", "agents to plan for").argParser(wholeNumber).default(1))
    .addOption(new Option("--slots <n>", "units at once per agent (default: cores / agents)").argParser(wholeNumber));
  withSizes(plan).action((recipe, options) =>
    run(async () => (await import("../plan.js")).plan(recipe, options, terminal)),
  );

  withRunOptions(amalgam.command("moe"))
    .description("make a mixture of experts from dense models; run again after a crash, it goes on where it was")
    .argument("<config>", "a mergekit-moe config (YAML)")
    .argument("<output>", "the folder to make, or s3://bucket/prefix")
    .option("--allow-identical-experts", "experts may all be one model, for an output that is to be trained", false)
    .option("--plan", "check the config and say what it takes, and make nothing", false)
    .action((config, output, options) =>
      run(async () => (await import("../moe.js")).moe(config, output, options, terminal)),
    );

  amalgam
    .command("methods")
    .description("list the merge methods and their parameters")
    .argument("[name]", "only this one, in detail")
    .option("--json", "for machines", false)
    .action((name, options) => run(async () => (await import("../methods.js")).listMethods(name, options, terminal)));
}
