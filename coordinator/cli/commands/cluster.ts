import { type Command, Option } from "commander";
import { withCluster } from "../cluster-options.js";
import { duration, wholeNumber, withOverwrite, withSizes } from "../options.js";
import type { Registration } from "./registration.js";

export function registerCluster({ amalgam, terminal, run }: Registration): void {
  const json = "for machines";
  const events = "one event per line for machines";
  const command = (name: string, jsonHelp = json): Command =>
    withCluster(amalgam.command(name)).option("--json", jsonHelp, false);

  amalgam.command("agent").description("serve units to coordinators; see amalgam agent --help");

  command("coordinator", events)
    .description("lead a cluster's jobs; several stand by for one another")
    .option("--name <name>", "what it is called (default: host name and process id)")
    .addOption(new Option("--jobs <n>", "jobs to lead at once").argParser(wholeNumber).default(2))
    .option("--keep-journals <folder>", "keep the journals of finished jobs there")
    .addOption(
      new Option(
        "--assemblers <n>",
        "threads per job that take in what agents stream (default: 1 to 4, by the cores there are)",
      ).argParser(wholeNumber),
    )
    .action((options) => run(async () => (await import("../coordinator.js")).coordinator(options, terminal)));

  const submit = command("submit", events)
    .description("have a recipe merged by the cluster")
    .argument("<recipe>", "a mergekit recipe (YAML)")
    .argument("<output>", "the folder to make, as coordinators and agents see it")
    .addOption(
      new Option("--assembly <mode>", "agents write files themselves, stream bytes back, or each as it can")
        .choices(["auto", "direct", "stream"] as const)
        .default("auto" as const),
    )
    .addOption(
      new Option("--max-wait <time>", "fail after so long without an agent (default: wait for one)").argParser(
        duration,
      ),
    )
    .addOption(new Option("--watch", "stay until the job is over").conflicts("detach").default(false))
    .option("--detach", "do not wait for the plan", false);
  withOverwrite(withSizes(submit)).action((recipe, output, options) =>
    run(async () => (await import("../submit.js")).submit(recipe, output, options, terminal)),
  );

  command("status")
    .description("say how jobs are")
    .argument("[job]", "only this one, in detail")
    .action((job, options) => run(async () => (await import("../status.js")).status(job, options, terminal)));

  command("watch", events)
    .description("follow a job to its end; exit code 0 if it is done")
    .argument("<job>", "as amalgam submit named it")
    .action((job, options) => run(async () => (await import("../watch.js")).watch(job, options, terminal)));

  command("cancel")
    .description("end a job; what it did is kept beside its output")
    .argument("<job>", "as amalgam submit named it")
    .action((job, options) => run(async () => (await import("../cancel.js")).cancel(job, options, terminal)));

  command("logs", events)
    .description("say what happened")
    .argument("[job]", "only to this job")
    .option("--node <name>", "only what this agent or coordinator tells")
    .option("--follow", "and what happens from now on", false)
    .option("--since <time>", 'not older than "10m", or than a date and time (ISO 8601)')
    .action((job, options) => run(async () => (await import("../logs.js")).logs(job, options, terminal)));

  command("nodes")
    .description("list coordinators and agents")
    .action((options) => run(async () => (await import("../nodes.js")).nodes(options, terminal)));

  command("drain")
    .description("have an agent finish what it runs, take nothing more, and leave")
    .argument("<node>", "its name, see amalgam nodes")
    .option("--detach", "do not wait until it has left", false)
    .action((node, options) => run(async () => (await import("../drain.js")).drain(node, options, terminal)));

  command("doctor")
    .description("check that a NATS server is fit for a cluster")
    .action((options) => run(async () => (await import("../doctor.js")).doctor(options, terminal)));
}
