import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError, type ErrorCode } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { type DownloadProgress, downloadModel } from "../../shared/remote/download.js";
import { findInHubCache } from "../../shared/remote/hub/cache.js";
import { isOffline } from "../../shared/remote/hub/settings.js";
import { hubUrl } from "../../shared/remote/hub-address.js";
import { openRemoteStore } from "../../shared/remote/open.js";
import type { RemoteStore } from "../../shared/remote/remote-store.js";
import { isRemote } from "../../shared/remote/url.js";
import { formatSeconds } from "./duration.js";
import { failure } from "./failure.js";
import { interruptible } from "./interrupt.js";
import { ProgressBar, ProgressLines, percentOf } from "./progress-bar.js";
import type { Terminal } from "./terminal.js";

export interface DownloadCommandOptions {
  readonly json: boolean;
}

/** `amalgam download`: a line for each model, the path to name in a recipe instead. Run again, it goes on. */
export async function download(
  models: readonly string[],
  { json }: DownloadCommandOptions,
  { stdout, stderr }: Terminal,
): Promise<number> {
  const urls = models.map(urlOf);
  const store = openRemoteStore();
  let isBegun = false;
  try {
    await interruptible(async (signal) => {
      for (const [i, url] of urls.entries()) {
        const model = models[i] ?? url;
        const view = json ? jsonLines(stdout, model) : shown(stderr, model);
        const onProgress = (progress: DownloadProgress): void => {
          isBegun = true;
          view.onProgress(progress);
        };
        const path = await downloadOne(store, url, { ...view, onProgress }, signal);
        stdout.write(json ? `${JSON.stringify({ event: "downloaded", model, path })}\n` : `${path}\n`);
      }
    });
    return 0;
  } catch (reason) {
    const isKept = ({ code }: AmalgamError): boolean => isBegun && keeping.has(code);
    throw failure(reason, stdout, { json, isKept, kept: "What was downloaded is" });
  } finally {
    await store.close();
  }
}

/** Failures after which the same command goes on from where it was. */
const keeping: ReadonlySet<ErrorCode> = new Set(["canceled", "source_failed", "out_of_space"]);

/** How a download is shown while it runs. */
export interface DownloadView {
  readonly onProgress: (progress: DownloadProgress) => void;
  readonly close: () => void;
}

async function downloadOne(store: RemoteStore, url: string, view: DownloadView, signal: AbortSignal): Promise<string> {
  try {
    const cached = isOffline(process.env) ? await findInHubCache(url) : undefined;
    if (cached !== undefined) return cached.directory;
    const model = await store.find(url, signal);
    return await downloadModel(store, model, { asked: url, onProgress: view.onProgress, signal });
  } finally {
    view.close();
  }
}

function urlOf(model: string): string {
  const url = isRemote(model) ? model : hubUrl(model);
  if (url !== undefined) return url;
  throw new AmalgamError(
    "usage",
    `Cannot download ${quote(model)}: name a model as "owner/name[@revision]", "hf://…", "https://…" or "s3://…"`,
  );
}

const redrawMs = 100;
/** What comes before that says nothing of a connection's speed: small files, one round trip after the other. */
const settledSeconds = 1;

export function jsonLines(stdout: NodeJS.WriteStream, model: string): DownloadView {
  return {
    onProgress: atMostEvery(redrawMs, (progress) => {
      stdout.write(`${JSON.stringify({ event: "progress", model, ...progress })}\n`);
    }),
    close: () => undefined,
  };
}

/** A bar on a terminal, plain lines in a pipe. */
export function shown(stderr: NodeJS.WriteStream, model: string): DownloadView {
  const bar = stderr.isTTY ? new ProgressBar(stderr) : new ProgressLines(stderr);
  let first: { readonly ms: number; readonly doneBytes: number } | undefined;
  return {
    onProgress: atMostEvery(redrawMs, (progress) => {
      const { doneBytes, bytes, filesDone, files } = progress;
      // What was here before was not downloaded at any speed.
      first ??= { ms: performance.now(), doneBytes };
      const seconds = (performance.now() - first.ms) / 1000;
      const bytesPerSecond = (doneBytes - first.doneBytes) / seconds;
      const isKnown = seconds >= settledSeconds && bytesPerSecond > 0;
      const text = [
        `${formatBytes(doneBytes)} of ${formatBytes(bytes)}`,
        ...(isKnown ? [`${formatBytes(bytesPerSecond)}/s`] : []),
        ...(isKnown ? [`ETA ${formatSeconds((bytes - doneBytes) / bytesPerSecond)}`] : []),
        `${filesDone}/${files} files`,
        quote(model),
      ].join("  ");
      bar.draw({ phase: "downloading", percent: percentOf({ done: doneBytes, work: bytes }), text });
    }),
    close: () => bar.close(),
  };
}

function atMostEvery(ms: number, show: DownloadView["onProgress"]): DownloadView["onProgress"] {
  let last = Number.NEGATIVE_INFINITY;
  return (progress) => {
    if (performance.now() - last < ms) return;
    last = performance.now();
    show(progress);
  };
}
