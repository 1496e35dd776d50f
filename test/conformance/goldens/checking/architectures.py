"""Which of a checkpoint's tensors lie before, in and after its layers: what slices are cut along."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Module:
    """One stack of layers. A tensor belongs to the first module that owns the start of its name."""

    name: str
    owns: tuple
    layers: str | None
    count: str | None
    post: tuple

    def place(self, tensor):
        """("pre" | "post" | "layer", the layer's number, the rest of the name)."""
        if self.layers and (match := re.match(re.escape(self.layers) + r"(\d+)\.", tensor)):
            return "layer", int(match[1]), tensor[match.end() :]
        return ("post" if tensor.startswith(self.post) else "pre"), None, tensor

    def layer_tensor(self, number, rest):
        return f"{self.layers}{number}.{rest}"


LLAMA = (Module("default", ("",), "model.layers.", "num_hidden_layers", ("model.norm.", "lm_head.")),)
ARCHITECTURES = {
    "llama": LLAMA,
    "qwen3_moe": LLAMA,
    # mergekit infers this one, and then everything outside the layers lies before them.
    "qwen2_moe": (Module("default", ("",), "model.layers.", "num_hidden_layers", ("nothing",)),),
    "gpt2": (Module("default", ("",), "transformer.h.", "n_layer", ("transformer.ln_f.", "lm_head.")),),
    "bert": (Module("default", ("",), "bert.encoder.layer.", "num_hidden_layers", ("bert.pooler.", "cls.")),),
    "t5": (
        Module("encoder", ("encoder.",), "encoder.block.", "num_layers", ("encoder.final",)),
        Module("decoder", ("decoder.",), "decoder.block.", "num_decoder_layers", ("decoder.final",)),
        Module("shared", ("shared.", "lm_head."), None, None, ("lm_head.",)),
    ),
}

# A head that a checkpoint lacks is its embedding.
TIED = {"lm_head.weight": ("model.embed_tokens.weight", "transformer.wte.weight", "wte.weight")}
# mergekit allows GPT-2's tensors without this.
PREFIX = "transformer."

VOCABULARY_TENSORS = ("model.embed_tokens.weight", "lm_head.weight")


def find(checkpoint, name):
    """The (dtype, values) that a model gives for a name, or None."""
    for candidate in (name, name.removeprefix(PREFIX), *TIED.get(name, ())):
        if candidate in checkpoint.tensors:
            return checkpoint.tensors[candidate]
    return None
