"""Stacks of experts, apart and under the names of published checkpoints."""


def unfused(tensors):
    """The tensors with each fused stack of experts taken apart, as the checkpoints that went in have them.

    transformers 5, and so mergekit 0.1.5, holds all experts of a layer in two tensors: gate_up_proj
    [experts, 2 * width, hidden], the gate first, and down_proj [experts, hidden, width].
    """
    result = {}
    for name, tensor in tensors.items():
        experts, dot, part = name.rpartition(".")
        if not experts.endswith(".experts"):
            result[name] = tensor
            continue
        pieces = {"down_proj": tensor}
        if part == "gate_up_proj":
            half = tensor.shape[1] // 2
            pieces = {"gate_proj": tensor[:, :half], "up_proj": tensor[:, half:]}
        for piece, stack in pieces.items():
            for expert, matrix in enumerate(stack):
                result[f"{experts}.{expert}.{piece}.weight"] = matrix.contiguous()
    return result


MIXTRAL_NAMES = {
    ".mlp.experts.": ".block_sparse_moe.experts.",
    ".mlp.gate.": ".block_sparse_moe.gate.",
    ".gate_proj.": ".w1.",
    ".down_proj.": ".w2.",
    ".up_proj.": ".w3.",
}


def named_as_mixtral(tensors):
    """The names of the checkpoints that Mixtral was published in; transformers 5 has other ones in memory."""
    result = {}
    for name, tensor in tensors.items():
        for ours, theirs in MIXTRAL_NAMES.items():
            name = name.replace(ours, theirs)
        result[name] = tensor
    return result
