/** What a tensor of an adapter is, told from its name as PEFT's `get_peft_model_state_dict()` writes it. */
export type AdapterTensorName =
  /** `base_model.model.<module>.lora_A.weight`, or `….lora_embedding_A`. */
  | { readonly kind: "factor"; readonly module: string; readonly factor: "A" | "B"; readonly isEmbedding: boolean }
  /** `base_model.model.<module>.lora_B.bias`: what is added to the module's bias. */
  | { readonly kind: "bias of B"; readonly module: string }
  /**
   * A tensor that stands in for one of the base's: a module to save, a trained bias, an embedding that was resized.
   * `isUnderneath`: it belongs to a module that has factors too.
   */
  | { readonly kind: "whole"; readonly name: string; readonly isUnderneath: boolean }
  | { readonly kind: "foreign" };

/**
 * Where PEFT puts the model that it wraps. Models that were given to `inject_adapter_in_model()` are not wrapped.
 */
const wrapping = "base_model.model.";

/** Parts of names that only methods other than LoRA use: DoRA, AdaLoRA, LoHa, LoKr, IA³, VeRA, OFT, trainable tokens. */
const foreign = /\.(?:lora_(?!A\b|B\b|embedding_[AB]\b)|hada_|lokr_|ia3_|vera_|oft_|token_adapter\b)/;

/** The adapter's name, which old versions of PEFT and other trainers leave in, may stand after `lora_A`. */
const linear = /^(.+)\.lora_([AB])(?:\.[^.]+)?\.(weight|bias)$/;
const embedding = /^(.+)\.lora_embedding_([AB])(?:\.[^.]+)?$/;

export function readTensorName(key: string): AdapterTensorName {
  const inner = key.startsWith(wrapping) ? key.slice(wrapping.length) : key;
  const match = linear.exec(inner) ?? embedding.exec(inner);
  if (match !== null) {
    const [, module = "", factor = "", part] = match;
    if (part !== "bias") return { kind: "factor", module, factor: factor === "A" ? "A" : "B", isEmbedding: !part };
    return factor === "B" ? { kind: "bias of B", module } : { kind: "foreign" };
  }
  if (foreign.test(inner)) return { kind: "foreign" };
  // A module that is adapted keeps its own tensors in `base_layer`; one to save, in `modules_to_save`.
  const isUnderneath = /\.base_layer\./.test(inner);
  const name = inner.replace(/\.base_layer(?=\.)|\.modules_to_save(?:\.default)?(?=\.)/, "");
  return { kind: "whole", name, isUnderneath };
}

/** The name that PEFT gives a module's factor. */
export function factorName(module: string, factor: "A" | "B", isEmbedding: boolean): string {
  return `${wrapping}${module}.${isEmbedding ? `lora_embedding_${factor}` : `lora_${factor}.weight`}`;
}

/** The name of a tensor that stands in for the base's. */
export function wholeName(name: string, isUnderneath: boolean): string {
  const place = name.lastIndexOf(".");
  return `${wrapping}${isUnderneath ? `${name.slice(0, place)}.base_layer${name.slice(place)}` : name}`;
}
