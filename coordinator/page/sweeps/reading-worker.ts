import { parentPort } from "node:worker_threads";
import { AmalgamError } from "../../../shared/errors.js";
import { toHtml } from "../../sweep/report/page.js";
import { reportOf } from "../../sweep/report/report-data.js";
import { readSweepFolder } from "../../sweep/report/sweep-folder.js";
import type { ReadingAnswer, ReadingTask } from "./reading-thread.js";
import { summarise } from "./summary.js";

async function answer({ what, folder }: ReadingTask): Promise<unknown> {
  if (what === "summary") return await summarise(folder);
  const sweep = await readSweepFolder(folder);
  return toHtml(sweep, await reportOf(sweep));
}

parentPort?.on("message", (task: ReadingTask) => {
  void answer(task)
    .then(
      (value): ReadingAnswer => ({ number: task.number, value }),
      (reason: unknown): ReadingAnswer => ({ number: task.number, error: AmalgamError.from(reason).plain }),
    )
    .then((told) => parentPort?.postMessage(told));
});
