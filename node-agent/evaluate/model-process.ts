import { type ChildProcess, fork } from "node:child_process";
import { parentWords } from "../../shared/child/serve-parent.js";
import { AmalgamError } from "../../shared/errors.js";
import type { EvaluateRequest } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { LifeSign } from "./life-sign.js";
import type { FromProcess, ProcessSettings, SliceEvent, ToProcess } from "./process/protocol.js";

export interface SliceListener {
  /** The slice has left the queue. */
  readonly onStart?: () => void;
  /** `taken` says that the network has a result. */
  readonly onEvent: (event: SliceEvent, taken: () => void) => void;
}

export interface ModelProcessOptions {
  /** The process's module. It speaks process/protocol.ts. */
  readonly entry: URL;
  readonly settings: ProcessSettings;
  /** How long a canceled slice may go on before its process is ended: a batch that runs cannot be interrupted. */
  readonly cancelGraceMs: number;
  readonly onIdle: () => void;
  readonly onExit: () => void;
}

/** How often a slice at work says so, if it is. */
const beatMs = 5_000;

/**
 * NVIDIA's libraries multiply f32 matrices with 10 bits of mantissa (TF32) unless told otherwise, which ONNX Runtime lets
 * them from Ampere on, and its interface for JavaScript has no option against it. Logits would be off by 1e-3.
 */
const exactly = { NVIDIA_TF32_OVERRIDE: "0" } as const;

/** The end of what the process wrote about its own death, which is all there is to tell why. */
const maxLastWords = 500;

interface RunningSlice {
  readonly number: number;
  readonly request: EvaluateRequest;
  readonly listener: SliceListener;
  readonly settle: (error?: AmalgamError) => void;
}

/** A child process that runs models, and the slice that it is at. */
export class ModelProcess {
  readonly #child: ChildProcess;
  readonly #options: ModelProcessOptions;
  readonly #exited: Promise<void>;
  readonly #life: LifeSign;
  #slice: RunningSlice | undefined;
  #last = 0;
  #deadline: NodeJS.Timeout | undefined;
  #beat: NodeJS.Timeout | undefined;
  #lastWords = "";
  #goneBecause: AmalgamError | undefined;
  /** Told when the process has let go of a checkpoint. */
  readonly #forgetting = new Map<string, () => void>();

  constructor(options: ModelProcessOptions) {
    this.#options = options;
    this.#child = fork(options.entry, parentWords(), {
      execArgv: [],
      env: { ...exactly, ...process.env },
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#life = new LifeSign(this.#child.pid ?? 0);
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = `${this.#lastWords}${text}`.slice(-maxLastWords);
    });
    this.#child.on("message", (message: FromProcess) => this.#receive(message));
    this.#child.on("error", (error) => void this.end(AmalgamError.from(error)));
    this.#exited = new Promise((resolve) => {
      // Not "exit": what it wrote last is still on its way then.
      this.#child.on("close", (code, signal) => {
        this.#die(this.#death(code, signal));
        resolve();
        options.onExit();
      });
    });
    this.#send({ type: "begin", settings: options.settings });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isIdle(): boolean {
    return this.#slice === undefined && this.#goneBecause === undefined;
  }

  /**
   * One at a time. Fails with the signal's reason when canceled, at once, though the process may need a while. `scratch`:
   * the agent's own folder, in which the model is held in memory.
   */
  run(request: EvaluateRequest, listener: SliceListener, signal: AbortSignal, scratch?: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#goneBecause !== undefined) return reject(this.#goneBecause);
      if (signal.aborted) return reject(AmalgamError.from(signal.reason));
      const number = ++this.#last;
      const cancel = (): void => {
        reject(AmalgamError.from(signal.reason));
        this.#cancel(number);
      };
      this.#slice = {
        number,
        request,
        listener: {
          onEvent: (event, taken) => {
            if (signal.aborted) taken();
            else listener.onEvent(event, taken);
          },
        },
        settle: (error) => {
          signal.removeEventListener("abort", cancel);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      signal.addEventListener("abort", cancel, { once: true });
      listener.onStart?.();
      this.#beat = setInterval(() => this.#tellLife(), beatMs);
      this.#send({ type: "evaluate", slice: number, request, scratch });
    });
  }

  /** Resolves when the process holds nothing of a model in the scratch folder any more, or has ended. */
  async forget(checkpoint: string): Promise<void> {
    if (this.#goneBecause === undefined) {
      const forgotten = new Promise<void>((resolve) => this.#forgetting.set(checkpoint, resolve));
      this.#send({ type: "forget", checkpoint });
      await Promise.race([forgotten, this.#exited]);
      this.#forgetting.delete(checkpoint);
    } else await this.#exited;
  }

  /** Resolves when the process has ended. It holds nothing that would be lost. */
  async end(reason: AmalgamError): Promise<void> {
    this.#die(reason);
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  #receive(message: FromProcess): void {
    if (message.type === "forgotten") {
      this.#forgetting.get(message.checkpoint)?.();
      return;
    }
    const slice = this.#slice;
    if (slice === undefined || message.slice !== slice.number) return;
    if (message.type === "event") {
      const { event } = message;
      slice.listener.onEvent(event, () => {
        if (event.type === "result" && this.#slice === slice) this.#send({ type: "taken", slice: slice.number });
      });
      return;
    }
    this.#finish();
    slice.settle(message.type === "done" ? undefined : AmalgamError.fromPlain(message.error));
    this.#options.onIdle();
  }

  #tellLife(): void {
    if (!this.#life.hasWorked()) return;
    const event = { type: "progress", bytesRead: 0, bytesWritten: 0, ioSeconds: 0 } as const;
    this.#slice?.listener.onEvent(event, () => undefined);
  }

  #cancel(number: number): void {
    if (this.#slice?.number !== number) return;
    this.#send({ type: "cancel", slice: number });
    this.#deadline = setTimeout(() => this.#child.kill("SIGKILL"), this.#options.cancelGraceMs);
  }

  #finish(): void {
    clearTimeout(this.#deadline);
    clearInterval(this.#beat);
    this.#slice = undefined;
  }

  /** Whatever ended the process, its slice fails once, with the first reason. */
  #die(error: AmalgamError): void {
    this.#goneBecause ??= error;
    const slice = this.#slice;
    this.#finish();
    slice?.settle(error);
  }

  #death(code: number | null, signal: NodeJS.Signals | null): AmalgamError {
    const checkpoint = this.#slice?.request.model?.checkpoint ?? "";
    const act = `Cannot evaluate ${quote(checkpoint)}: the process that ran it`;
    const details = { checkpoint };
    if (signal === "SIGKILL") {
      const message = `${act} was killed (SIGKILL), as a system does that is out of memory`;
      return new AmalgamError("out_of_memory", message, { details });
    }
    const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
    const words = this.#lastWords.trim();
    return new AmalgamError("internal", `${act} ${how}${words === "" ? "" : `, saying ${quote(words)}`}`, { details });
  }

  /** It may be gone already, which is heard of otherwise. */
  #send(message: ToProcess): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }
}
