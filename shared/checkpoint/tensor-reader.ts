import type { FileHandle } from "node:fs/promises";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import type { Checkpoint, CheckpointTensor } from "./checkpoint.js";
import { fileError, openRegularFile, readFully } from "./regular-file.js";

/** Reads parts of a checkpoint's tensors, one file open at a time: a checkpoint may have thousands. */
export class TensorReader implements AsyncDisposable {
  readonly #checkpoint: Checkpoint;
  #open: { readonly file: number; readonly handle: FileHandle } | undefined;
  bytesRead = 0;

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  /** `length` bytes of the tensor, from its byte `begin`. Fails with `checkpoint_changed` when the file has become shorter. */
  async read(tensor: CheckpointTensor, begin: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const handle = await this.#handleOf(tensor.file);
    const bytes = new Uint8Array(length);
    const read = await readFully(handle, bytes, tensor.offset + begin);
    this.bytesRead += read;
    if (read === length) return bytes;
    const file = this.#checkpoint.files[tensor.file]?.name ?? "";
    throw new AmalgamError("checkpoint_changed", `Cannot read ${quote(tensor.name)}: ${quote(file)} shrank meanwhile`);
  }

  async #handleOf(file: number): Promise<FileHandle> {
    if (this.#open?.file === file) return this.#open.handle;
    await this[Symbol.asyncDispose]();
    const { path, name } = this.#checkpoint.files[file] ?? { path: "", name: "" };
    try {
      const { handle } = await openRegularFile(path, { name });
      this.#open = { file, handle };
      return handle;
    } catch (error) {
      throw fileError(error, name);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.handle.close();
  }
}
