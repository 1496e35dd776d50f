import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { GraphRequest } from "../types.js";

/** The names of a checkpoint's tensors, as far as they decide between forms of one architecture. */
export class EncoderTensors {
  /** Of the model's own tensors: the family's, or empty where the checkpoint has no head beside the model. */
  readonly prefix: string;
  readonly #request: GraphRequest;

  constructor(request: GraphRequest, familyPrefix: string) {
    this.#request = request;
    const embeddings = "embeddings.word_embeddings.weight";
    const prefix = [familyPrefix, ""].find((candidate) => request.tensors.has(`${candidate}${embeddings}`));
    if (prefix === undefined) {
      throw this.#mismatch(`the checkpoint has no tensor ${quote(familyPrefix + embeddings)} or ${quote(embeddings)}`);
    }
    this.prefix = prefix;
  }

  /** Whether there is a module of this name with a weight. */
  has(module: string): boolean {
    return this.#request.tensors.has(`${module}.weight`);
  }

  /** What the two vectors of a LayerNorm are called: checkpoints from TensorFlow's days have gamma and beta. */
  normWords(module: string): { readonly scale: string; readonly shift: string } {
    const isOld = this.#request.tensors.has(`${module}.gamma`);
    return isOld ? { scale: "gamma", shift: "beta" } : { scale: "weight", shift: "bias" };
  }

  /** How many outputs the linear layer `module` has, which does `what`. Throws where there is none. */
  outputsOf(module: string, what: string): number {
    const name = `${module}.weight`;
    const rows = this.#request.tensors.get(name)?.shape[0];
    if (rows === undefined) throw this.#mismatch(`the checkpoint has no tensor ${quote(name)}, ${what}`);
    return rows;
  }

  #mismatch(problem: string): AmalgamError {
    const { configFile } = this.#request;
    const message = `Cannot build a graph from ${quote(configFile)}: ${problem}`;
    return new AmalgamError("checkpoint_mismatch", message, { details: { file: configFile } });
  }
}
