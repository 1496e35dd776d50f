import { type Command, Option } from "commander";
import { repeatable, size, wholeNumber } from "./options.js";

/** Which agents run models, and on what: see `EvaluationAgentsOptions`. */
export function withEvaluationAgents(command: Command): Command {
  return command
    .addOption(new Option("--agents <n>", "local agents to start").argParser(wholeNumber).default(1))
    .addOption(repeatable("--agent <address>", "use this running agent (host:port) and start none").conflicts("agents"))
    .addOption(
      new Option("--nats <url>", "use the agents of this cluster and start none").conflicts(["agents", "agent"]),
    )
    .option(
      "--provider <names>",
      "execution providers to try, in this order: cuda, webgpu, cpu, or auto (default: cpu)",
    )
    .addOption(
      new Option("--threads <n>", "that a model runs on, on every agent alike (default: the cores)").argParser(
        wholeNumber,
      ),
    )
    .addOption(
      new Option("--memory <size>", "for models, per local agent (default: most of what is free)").argParser(size),
    );
}
