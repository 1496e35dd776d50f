import { type Command, Option } from "commander";
import { withCluster } from "../cluster-options.js";
import { wait, wholeNumber, withOverwrite, withSizes, withStaging } from "../options.js";
import { withHttp, withLogging } from "../process-options.js";
import type { Registration } from "./registration.js";

export function registerCluster({ amalgam, terminal, run, show }: Registration): void {
  const json = "for machines";
  const events = "one event per line for machines";
  const command = (name: string, jsonHelp = json): Command =>
    withCluster(amalgam.command(name)).option("--json", jsonHelp, false);

  amalgam.command("agent").description("serve units to coordinators; see amalgam agent --help");

  const leading = command("coordinator", events)
    .description("lead a cluster's jobs until SIGTERM, which hands them over; several stand by for one another")
    .option(
      "--name <name>",
      "what it is called, alone in the cluster (default: as its certificate says, or host name and process id)",
    )
    .addOption(new Option("--jobs <n>", "jobs to lead at once").argParser(wholeNumber).default(2))
    .option("--keep-journals <folder>", "where to keep the journals of finished jobs (default: they are removed)")
    .option(
      "--allow-source <url...>",
      "where jobs may have models on servers, such as https://host/models, s3://bucket or hf://owner " +
        "(default: the Hub, S3 and the public Internet; no host of a private network)",
    )
    .addOption(
      new Option(
        "--assemblers <n>",
        "threads per job that take in what agents stream (default: 1 to 4, by the cores there are)",
      ).argParser(wholeNumber),
    );
  withLogging(withHttp(leading))
    .option("--sweeps <folder...>", "sweeps that the status page shows: their folders, or one that has them in it")
    .action((options) => run(async () => (await import("../coordinator.js")).coordinator(options, terminal)));

  const submit = command("submit", events)
    .description("have a recipe merged by the cluster; returns once it is planned")
    .argument("<recipe>", "a mergekit recipe (YAML)")
    .argument("<output>", "the folder to make, as coordinators see it, or s3://bucket/prefix")
    .addOption(
      new Option("--assembly <mode>", "each agent as it can, all write files themselves, or all stream bytes back")
        .choices(["auto", "direct", "stream"] as const)
        .default("auto" as const),
    )
    .addOption(
      new Option(
        "--max-wait <time>",
        'fail after so long without an agent for it, such as "10m" (default: never)',
      ).argParser(wait),
    )
    .addOption(
      new Option("--watch", "stay until the job is over; Ctrl-C leaves it running").conflicts("detach").default(false),
    )
    .option("--detach", "return as soon as it is handed in", false);
  withStaging(withOverwrite(withSizes(submit)), ", as coordinators see it").action((recipe, output, options) =>
    show(async () => (await import("../submit.js")).submit(recipe, output, options, terminal)),
  );

  command("status")
    .description("list jobs, how far they are and who leads them")
    .argument("[job]", "only this one, in detail")
    .action((job, options) => show(async () => (await import("../status.js")).status(job, options, terminal)));

  command("watch", events)
    .description("follow a job to its end, exit code 0 if it is done; Ctrl-C leaves it running")
    .argument("<job>", "as amalgam submit named it")
    .action((job, options) => show(async () => (await import("../watch.js")).watch(job, options, terminal)));

  command("cancel")
    .description("end a job; its work is kept, and the same submit goes on with it")
    .argument("<job>", "as amalgam submit named it")
    .action((job, options) => run(async () => (await import("../cancel.js")).cancel(job, options, terminal)));

  command("logs", events)
    .description("say what happened, oldest first, as long as NATS keeps it")
    .argument("[job]", "only to this job")
    .option("--node <name>", "only what this agent or coordinator tells")
    .option("--follow", "and what happens from now on", false)
    .option("--since <time>", 'only what is not older than "10m", or than a time such as 2026-01-31T12:00:00Z')
    .action((job, options) => show(async () => (await import("../logs.js")).logs(job, options, terminal)));

  command("nodes")
    .description("list coordinators and agents, and who is silent or not used")
    .action((options) => show(async () => (await import("../nodes.js")).nodes(options, terminal)));

  command("drain")
    .description("have an agent finish what it runs, take nothing more, and leave")
    .argument("<node>", "its name, see amalgam nodes")
    .option("--detach", "do not wait until it has left", false)
    .action((node, options) => run(async () => (await import("../drain.js")).drain(node, options, terminal)));

  command("doctor")
    .description("check that a NATS server is fit for a cluster; exit code 1 if it is not")
    .action((options) => run(async () => (await import("../doctor.js")).doctor(options, terminal)));
}
