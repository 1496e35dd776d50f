import { spawnSync } from "node:child_process";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { type Browser, chromium } from "playwright-core";
import { repositoryPath } from "./repository.js";

/** What Chromium needs to run without a display and inside sandboxes, and to leave the network alone. */
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

interface Found {
  readonly executable: string;
  /** Where libraries are that it brings along. */
  readonly libraries?: string;
}

/** Why there is no browser for tests here; undefined where there is one. */
export function whyNoBrowser(): string | undefined {
  const given = process.env["CHROMIUM"];
  if (given) return existsSync(given) ? undefined : "CHROMIUM names a file that is not there";
  if (onPath() !== undefined) return undefined;
  if (process.platform !== "linux" || process.arch !== "x64") {
    return `no Chromium is installed, and the one from npm is for linux x64, not ${process.platform} ${process.arch}`;
  }
  return existsSync(packed()) ? undefined : "no Chromium is installed, and the one from npm is not either";
}

/** A Chromium without a window: the one that CHROMIUM names, or is installed, or comes from npm. */
export async function startBrowser(): Promise<Browser & AsyncDisposable> {
  const { executable, libraries } = await find();
  const paths = [...(libraries === undefined ? [] : [libraries]), process.env["LD_LIBRARY_PATH"] ?? ""];
  const browser = await chromium.launch({
    executablePath: executable,
    args: flags,
    env: { ...process.env, LD_LIBRARY_PATH: paths.filter((path) => path !== "").join(delimiter) },
  });
  return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
}

async function find(): Promise<Found> {
  const installed = process.env["CHROMIUM"] ?? onPath();
  return installed === undefined || installed === "" ? await unpack() : { executable: installed };
}

function onPath(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const names = ["chromium", "chromium-browser", "google-chrome"];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/** The folder of the packed files. */
function packed(): string {
  return repositoryPath("node_modules", "@sparticuz", "chromium", "bin");
}

/** Unpacks the browser from npm and its libraries, once for all test runs. */
async function unpack(): Promise<Found> {
  const cache = repositoryPath("node_modules", ".cache", "chromium");
  const manifest = join(dirname(packed()), "package.json");
  const { version } = createRequire(import.meta.url)(manifest) as { readonly version: string };
  const folder = join(cache, version);
  if (!existsSync(folder)) {
    await mkdir(cache, { recursive: true });
    const scratch = await mkdtemp(join(cache, "unpack-"));
    try {
      await decompress("chromium.br", join(scratch, "chromium"));
      await chmod(join(scratch, "chromium"), 0o755);
      for (const archive of ["al2023.tar", "swiftshader.tar"]) await extract(archive, scratch);
      // Another process may do the same: a rename puts one whole folder in place.
      await rename(scratch, folder).catch((error: unknown) => {
        if (!existsSync(folder)) throw error;
      });
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }
  const isThere = (await readdir(folder)).includes("lib");
  return { executable: join(folder, "chromium"), ...(isThere ? { libraries: join(folder, "lib") } : {}) };
}

async function extract(archive: string, folder: string): Promise<void> {
  const tar = join(folder, archive);
  await decompress(`${archive}.br`, tar);
  const { status, stderr } = spawnSync("tar", ["-xf", tar, "-C", folder], { encoding: "utf8" });
  if (status !== 0) throw new Error(`Cannot unpack ${archive}: ${stderr}`);
  await rm(tar);
}

async function decompress(name: string, to: string): Promise<void> {
  await pipeline(createReadStream(join(packed(), name)), createBrotliDecompress(), createWriteStream(to));
}
