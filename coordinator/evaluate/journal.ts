import { access, constants, type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { formatChecked, parseChecked } from "../assemble/checked-line.js";
import { OutputLock } from "./output-lock.js";
import type { BatchOutput } from "./types.js";

/** What an unfinished evaluation has found out so far, in its output folder. */
export const journalName = "unfinished.jsonl";

interface Line {
  /** Of model, task and tokenizer: everything that decides the answer. */
  readonly key: string;
  readonly batch: number;
  readonly kind: BatchOutput["kind"];
  readonly width?: number;
  /** Little-endian, in base64: floats of vectors and log-probabilities, or tokens of one example each. */
  readonly data: readonly string[];
}

/**
 * Answers as they come, so that an evaluation that is interrupted goes on where it was. Answers are looked up by what
 * decides them: after a change of model, data or task the old ones are simply not found, and neither is a line that is
 * torn or not what was once written. The file is made with the first answer.
 */
export class EvaluationJournal implements AsyncDisposable {
  readonly #path: string;
  readonly #known: ReadonlyMap<string, BatchOutput>;
  readonly #lock: OutputLock;
  #handle: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failure: AmalgamError | undefined;

  private constructor(path: string, known: ReadonlyMap<string, BatchOutput>, lock: OutputLock) {
    this.#path = path;
    this.#known = known;
    this.#lock = lock;
  }

  /** In a folder that exists. Fails with `output_refused` where no journal can be kept, or another process keeps one. */
  static async open(folder: string): Promise<EvaluationJournal> {
    const path = join(folder, journalName);
    let lock: OutputLock | undefined;
    try {
      await access(folder, constants.W_OK);
      lock = await OutputLock.take(folder);
      return new EvaluationJournal(path, await readAnswers(path), lock);
    } catch (reason) {
      await lock?.[Symbol.asyncDispose]();
      const cause = AmalgamError.from(reason);
      if (cause.code === "output_refused") throw cause;
      throw new AmalgamError("output_refused", `Cannot keep answers in ${quote(path)}: ${cause.message}`, { cause });
    }
  }

  find(key: string, batch: number): BatchOutput | undefined {
    return this.#known.get(`${key}/${batch}`);
  }

  /** Fails with why an answer before it could not be written: nothing is to be computed that will be lost. */
  add(key: string, batch: number, output: BatchOutput): void {
    if (this.#failure !== undefined) throw this.#failure;
    const line = formatChecked(JSON.stringify(toLine(key, batch, output)));
    this.#writing = this.#writing
      .then(() => this.#append(line))
      .catch((cause: unknown) => {
        const { code, message } = AmalgamError.from(cause);
        this.#failure ??= new AmalgamError(code, `Cannot write ${quote(this.#path)}: ${message}`, { cause });
      });
  }

  /** Resolves when all is written; fails with `io_failed` or `out_of_space`. */
  async settled(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The results are in place: nothing is left to go on from, and others may use the folder. */
  async remove(): Promise<void> {
    await this.settled();
    await rm(this.#path, { force: true });
    await this.#lock[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#handle?.close();
    await this.#lock[Symbol.asyncDispose]();
  }

  async #append(line: string): Promise<void> {
    // What comes first begins a line of its own, whatever was torn.
    const separator = this.#handle === undefined ? "\n" : "";
    this.#handle ??= await open(this.#path, "a");
    await this.#handle.appendFile(`${separator}${line}\n`);
  }
}

async function readAnswers(path: string): Promise<ReadonlyMap<string, BatchOutput>> {
  const known = new Map<string, BatchOutput>();
  const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (handle === undefined) return known;
  for await (const text of handle.readLines()) {
    const line = parseLine(text);
    if (line !== undefined) known.set(`${line.key}/${line.batch}`, toOutput(line));
  }
  return known;
}

function toLine(key: string, batch: number, output: BatchOutput): Line {
  const encode = (bytes: Float32Array | Uint8Array | Uint32Array): string =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  const { kind } = output;
  if (kind === "vectors") return { key, batch, kind, width: output.width, data: [encode(output.values)] };
  if (kind === "likelihood") return { key, batch, kind, data: [encode(output.logprobs), encode(output.greedy)] };
  return { key, batch, kind, data: output.tokens.map(encode) };
}

function parseLine(text: string): Line | undefined {
  const json = parseChecked(text);
  return json === undefined ? undefined : (JSON.parse(json) as Line);
}

function toOutput({ kind, width = 0, data }: Line): BatchOutput {
  const decode = (text = ""): ArrayBuffer => new Uint8Array(Buffer.from(text, "base64")).buffer;
  const [first, second] = data;
  if (kind === "vectors") return { kind, width, values: new Float32Array(decode(first)) };
  if (kind === "likelihood") {
    return { kind, logprobs: new Float32Array(decode(first)), greedy: new Uint8Array(decode(second)) };
  }
  return { kind: "generation", tokens: data.map((text) => new Uint32Array(decode(text))) };
}
