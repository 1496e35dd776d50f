import { stat } from "node:fs/promises";
import { quote } from "../../../shared/quote.js";
import { Complaints } from "../../recipe/complaints.js";
import { readText } from "../../recipe/read.js";
import { parseInto } from "./parse.js";
import type { AnyTask } from "./settings.js";
import type { NeededFile, Reading } from "./task-fields.js";

/** Reads a task file. The files that it names must be there: what is not is one of the complaints. */
export async function readTasks(file: string): Promise<readonly AnyTask[]> {
  const text = await readText(file, "task file");
  const reading: Reading = { file, complaints: new Complaints(file), needed: [] };
  const tasks = parseInto(reading, text);
  for (const needed of reading.needed) {
    const problem = await problemWith(needed);
    if (problem !== undefined) reading.complaints.add(needed.at, `Cannot use ${quote(needed.path)}: ${problem}`);
  }
  reading.complaints.throwIfAny();
  return tasks;
}

async function problemWith({ path, isFolder }: NeededFile): Promise<string | undefined> {
  try {
    const stats = await stat(path);
    if (isFolder) return stats.isDirectory() ? undefined : "it is not a folder, which images are read from";
    return stats.isFile() ? undefined : `it is ${stats.isDirectory() ? "a folder" : "a device or a pipe"}, not a file`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? "it does not exist" : `${code ?? error}`;
  }
}
