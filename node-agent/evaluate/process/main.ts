import { serveParent } from "../../../shared/child/serve-parent.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { EvaluatedModel } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { type KnownCheckpoint, openPlanned } from "./open-checkpoint.js";
import type { FromProcess, ProcessSettings, ToProcess } from "./protocol.js";
import { maxResultsInFlight } from "./protocol.js";
import { SessionStore } from "./session-store.js";
import { runSlice } from "./slice.js";

// The process that runs an agent's models. ONNX Runtime blocks the thread that calls it, and native code may take its
// process down: neither must happen to the agent.

/** One slice, its end, and the results of it that the network does not have yet. */
interface RunningSlice {
  readonly number: number;
  readonly canceled: AbortController;
  inFlight: number;
  onTaken: () => void;
}

let store: SessionStore | undefined;
let settings: ProcessSettings | undefined;
let running: RunningSlice | undefined;
/** Settles when the slice that was asked for last is over. */
let lastRun: Promise<void> = Promise.resolve();
/** The one in the scratch folder, opened once for all its slices. */
let inMemory: { readonly path: string; readonly known: KnownCheckpoint } | undefined;

serveParent();
process.on("message", (message: ToProcess) => {
  switch (message.type) {
    case "begin":
      settings = message.settings;
      store = new SessionStore(settings);
      return;
    case "evaluate":
      lastRun = run(message);
      return;
    case "forget":
      void lastRun.then(() => forget(message.checkpoint));
      return;
    case "cancel":
      if (running?.number === message.slice) {
        running.canceled.abort(new AmalgamError("canceled", "Canceled by the agent"));
        running.onTaken();
      }
      return;
    case "taken":
      if (running?.number !== message.slice) return;
      running.inFlight -= 1;
      running.onTaken();
  }
});

async function run({ slice: number, request, scratch }: Extract<ToProcess, { type: "evaluate" }>): Promise<void> {
  const slice: RunningSlice = { number, canceled: new AbortController(), inFlight: 0, onTaken: () => undefined };
  running = slice;
  try {
    if (store === undefined || settings === undefined) throw new Error("The process was not told its settings");
    const { roots } = settings;
    await runSlice(request, {
      store,
      open: (model, signal) =>
        scratch === undefined ? openPlanned(model, roots, signal) : openInMemory(model, scratch, signal),
      signal: slice.canceled.signal,
      emit: (event) => send({ type: "event", slice: number, event }),
      emitResult: async (result) => {
        while (slice.inFlight >= maxResultsInFlight) await nextTaken(slice);
        slice.canceled.signal.throwIfAborted();
        slice.inFlight += 1;
        send({ type: "event", slice: number, event: { type: "result", result } });
      },
    });
    send({ type: "done", slice: number });
  } catch (error) {
    send({ type: "failed", slice: number, error: AmalgamError.from(error).plain });
  }
}

async function openInMemory(model: EvaluatedModel, scratch: string, signal: AbortSignal): Promise<KnownCheckpoint> {
  if (inMemory?.path !== model.checkpoint) {
    const known = await openPlanned(model, [scratch], signal);
    // Nobody but the agent writes there, and it does not while the model is run.
    const assertUnchanged = (): Promise<void> => Promise.resolve();
    inMemory = { path: model.checkpoint, known: { ...known, assertUnchanged, isInMemory: true } };
  }
  return inMemory.known;
}

async function forget(checkpoint: string): Promise<void> {
  if (inMemory?.path === checkpoint) {
    const { identity } = inMemory.known;
    inMemory = undefined;
    await store?.forget(identity);
  }
  send({ type: "forgotten", checkpoint });
}

async function nextTaken(slice: RunningSlice): Promise<void> {
  slice.canceled.signal.throwIfAborted();
  await new Promise<void>((resolve) => {
    slice.onTaken = resolve;
  });
}

function send(message: FromProcess): void {
  // A channel that has closed ends the process by itself.
  process.send?.(message, undefined, undefined, () => undefined);
}
