import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, realpath, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import { formatHeader } from "../../shared/checkpoint/header.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { openOwn, syncDirectory, writeDurably, writeError, writeFully } from "../assemble/durable.js";
import { formatManifest, type ManifestFile, manifestName } from "../assemble/manifest.js";
import { isAddress } from "../sinks/work-place.js";
import { adapterConfigName, adapterWeightsName } from "./adapter.js";
import { type AdapterProvenance, adapterManifest, describeTensor, type TensorRow } from "./adapter-manifest.js";

const spoolName = "spool";
const copyBytes = 8 << 20;

interface Spooled {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly bytes: number;
  readonly row: TensorRow;
}

/**
 * An adapter in the making. Tensors come in any order and their shapes need not be known before; they wait in a spool in
 * a folder beside the output, which is renamed to it at the end. Equal tensors give equal bytes in whatever order they
 * came. Disposing of it before `finish()` removes all that was written.
 */
export class AdapterWriter implements AsyncDisposable {
  readonly #output: string;
  readonly #folder: string;
  readonly #spool: FileHandle;
  readonly #tensors: Spooled[] = [];
  #bytes = 0;
  #last: Promise<void> = Promise.resolve();

  private constructor(output: string, folder: string, spool: FileHandle) {
    this.#output = output;
    this.#folder = folder;
    this.#spool = spool;
  }

  /** Refuses a path where there is something, with `output_refused`. Its folder must exist. */
  static async create(output: string): Promise<AdapterWriter> {
    const refuse = (problem: string): AmalgamError =>
      new AmalgamError("output_refused", `Cannot write to ${quote(output)}: ${problem}`, { details: { output } });
    if (isAddress(output)) throw refuse("an adapter is written to a folder, which can be copied from there");
    const absolute = resolve(output);
    const found = await lstat(absolute).catch(() => undefined);
    if (found !== undefined) throw refuse("it exists, choose another path");
    const parent = await realpath(dirname(absolute)).catch(() => undefined);
    if (parent === undefined) throw refuse(`there is no folder ${quote(dirname(absolute))}`);
    try {
      const folder = join(parent, `.${basename(absolute)}.amalgam-${randomUUID()}`);
      await mkdir(folder);
      const spool = await openOwn(join(folder, spoolName), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
      return new AdapterWriter(join(parent, basename(absolute)), folder, spool);
    } catch (error) {
      throw writeError(error, "write to", output);
    }
  }

  /** Puts a tensor into the spool. Calls may overlap. */
  add(name: string, dtype: Dtype, shape: readonly number[], bytes: Uint8Array): Promise<void> {
    const offset = this.#bytes;
    this.#bytes += bytes.length;
    this.#tensors.push({ name, dtype, shape, offset, bytes: bytes.length, row: describeTensor(name, dtype, bytes) });
    this.#last = this.#last.then(() => writeFully(this.#spool, bytes, offset));
    return this.#last;
  }

  /**
   * Writes the weights in the order of their names, the configuration, the card and the manifest, and shows them with
   * one rename.
   */
  async finish(config: object, card: string, provenance: AdapterProvenance): Promise<void> {
    try {
      await this.#last;
      const weights = [await this.#writeWeights()];
      const companions = [await this.#writeText(adapterConfigName, `${JSON.stringify(config, null, 2)}\n`)];
      await this.#writeText("README.md", card);
      const tensors = sortByName(this.#tensors).map(({ row }) => row);
      const manifest = adapterManifest(provenance, { weights, companions, tensors });
      await this.#writeText(manifestName, formatManifest(manifest));
      await this.#spool.close();
      await rm(join(this.#folder, spoolName));
      await syncDirectory(this.#folder);
      await rename(this.#folder, this.#output);
      await syncDirectory(dirname(this.#output));
    } catch (error) {
      throw writeError(error, "write", this.#output);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last.catch(() => undefined);
    await this.#spool.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #writeText(name: string, text: string): Promise<ManifestFile> {
    const content = Buffer.from(text);
    await writeDurably(join(this.#folder, name), content);
    return { name, bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
  }

  async #writeWeights(): Promise<ManifestFile> {
    const tensors = sortByName(this.#tensors);
    const header = formatHeader(tensors, new Map([["format", "pt"]]));
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    await using file = await openOwn(join(this.#folder, adapterWeightsName), flags);
    await writeFully(file, header, 0);
    const hash = createHash("sha256").update(header);
    let at = header.length;
    const buffer = new Uint8Array(copyBytes);
    for (const { offset, bytes } of tensors) {
      for (let done = 0; done < bytes; ) {
        const { bytesRead } = await this.#spool.read(buffer, 0, Math.min(copyBytes, bytes - done), offset + done);
        if (bytesRead === 0) throw new AmalgamError("io_failed", `Cannot read ${quote(spoolName)} back`);
        await writeFully(file, buffer.subarray(0, bytesRead), at);
        hash.update(buffer.subarray(0, bytesRead));
        at += bytesRead;
        done += bytesRead;
      }
    }
    await file.sync();
    return { name: adapterWeightsName, bytes: at, sha256: hash.digest("hex") };
  }
}

function sortByName(tensors: readonly Spooled[]): readonly Spooled[] {
  return tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
