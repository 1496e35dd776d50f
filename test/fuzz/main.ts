import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { formatInput } from "./corpus.js";
import { type FuzzMessage, type FuzzTask, latestBytes } from "./protocol.js";
import { targets } from "./targets.js";
import { Watch } from "./watch.js";

const usage = `Usage: npm run fuzz -- <target> [options]

  target        one of ${targets.map(({ name }) => name).join(", ")}
  --minutes N   how long; default 1
  --seed N      where random numbers begin; default 1

Ends with 0 and the corpus brought up to date, or with 1 and the input for which something did not hold.
`;

/** An input that takes longer has no end. */
const hangMs = 60_000;
/** Of JavaScript objects. A reader of small inputs needs little. */
const maxHeapMegabytes = 512;
const figuresMs = 10_000;

const { values, positionals } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string", default: "1" } },
  allowPositionals: true,
});
const [name = ""] = positionals;
if (!targets.some((target) => target.name === name)) {
  console.error(usage);
  process.exit(2);
}
process.exit(await run({ target: name, minutes: Number(values.minutes), seed: Number(values.seed) }));

/** Fuzzes in a thread of its own, whose inputs can be seen when it hangs or runs out of memory. */
async function run(task: Omit<FuzzTask, "latest">): Promise<number> {
  const latest = new SharedArrayBuffer(latestBytes);
  const worker = new Worker(new URL("./worker.js", import.meta.url), {
    workerData: { ...task, latest } satisfies FuzzTask,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMegabytes },
  });
  let figures = "";
  const tell = (): void => console.log(`${task.target}: ${figures}`);
  const telling = setInterval(tell, figuresMs);
  const watch = new Watch(latest);
  try {
    return await new Promise<number>((resolve) => {
      const report = (problem: string, input = watch.latest): void => {
        console.error(`${problem}\n${formatInput(input)}`);
        resolve(1);
      };
      watch.start(hangMs, () => report(`${task.target}: an input takes more than ${hangMs / 1_000} seconds`));
      worker.on("error", (error) => report(`${task.target}: ${error.stack}`));
      worker.on("message", (message: FuzzMessage) => {
        if (message.type === "figures") figures = message.text;
        else if (message.type === "finding") report(`${message.message}\n${message.stack}`, message.input);
        else if (message.type === "distilling") watch.stop();
        else {
          tell();
          console.log(`${message.kept} inputs in the corpus`);
          resolve(0);
        }
      });
    });
  } finally {
    watch.stop();
    clearInterval(telling);
    await worker.terminate();
  }
}
