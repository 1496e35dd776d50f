"""What mergekit-moe must give with gates of cheap embeddings."""

import re

import numpy as np
import yaml

from checking.files import SHORT, read_checkpoint, read_json, read_safetensors

EXPERT_NAMES = {
    "MixtralForCausalLM": ("block_sparse_moe", {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}),
    "Qwen2MoeForCausalLM": ("mlp", {}),
    "Qwen3MoeForCausalLM": ("mlp", {}),
}


class MoeCase:
    """A folder of moe-cases/."""

    def __init__(self, folder):
        self.name, self.folder = folder.name, folder
        self.recipe = yaml.safe_load((folder / "config.yaml").read_text())
        self.base = self.model(self.recipe["base_model"])
        tokenizer = read_json((folder / self.recipe["base_model"]).resolve() / "tokenizer.json")
        self.merges = {tuple(pair): rank for rank, pair in enumerate(tokenizer["model"]["merges"])}
        self.architecture = read_json(folder / "config.json")["architectures"][0]

    def model(self, path):
        return read_checkpoint((self.folder / path).resolve())

    def check(self, error):
        """(dtypes, the largest error in units of the tolerance); `error` compares one tensor."""
        golden = read_safetensors(self.folder / "golden.safetensors")
        wanted = dict(self.expected())
        assert golden.keys() == wanted.keys(), f"{self.name}: {golden.keys() ^ wanted.keys()}"
        worst = max(error(values, golden[n][0], golden[n][1]) for n, values in wanted.items())
        dtypes = {dtype for dtype, _ in golden.values()}
        wanted_dtype = SHORT[self.recipe.get("dtype") or self.base.config["torch_dtype"]]
        assert dtypes == {wanted_dtype}, f"{self.name}: {dtypes}"
        return dtypes, worst

    def expected(self):
        """(name, values) of every tensor."""
        experts = self.recipe["experts"]
        shared = self.recipe.get("shared_experts") or []
        block, names = EXPERT_NAMES[self.architecture]
        for name, (_, values) in self.base.tensors.items():
            if ".mlp." not in name:
                yield name, values
        for layer in range(self.base.config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}"
            yield f"{prefix}.{block}.gate.weight", np.stack([self.gate(e) for e in experts])
            for e in shared:
                yield f"{prefix}.mlp.shared_expert_gate.weight", self.gate(e)[None]
                # Qwen2-MoE has biases where a Llama has none.
                for part in "qkv":
                    rows = self.base.tensors[f"{prefix}.self_attn.{part}_proj.weight"][1].shape[0]
                    yield f"{prefix}.self_attn.{part}_proj.bias", np.zeros(rows)
            places = [(f"experts.{i}", e) for i, e in enumerate(experts)] + [("shared_expert", e) for e in shared]
            for place, expert in places:
                for part in ("gate_proj", "up_proj", "down_proj"):
                    scale = expert.get("residual_scale", 1) if part == "down_proj" else 1
                    _, values = self.model(expert["source_model"]).tensors[f"{prefix}.mlp.{part}.weight"]
                    yield f"{prefix}.{block}.{place}.{names.get(part, part)}.weight", scale * values

    def gate(self, expert):
        """The direction of the sum of the prompts' embeddings, less that of the prompts to avoid."""
        total = self.direction(expert["positive_prompts"])
        if expert.get("negative_prompts"):
            total = total - self.direction(expert["negative_prompts"])
        return total / np.linalg.norm(total)

    def direction(self, prompts):
        embedding = self.base.tensors["model.embed_tokens.weight"][1]
        total = sum(embedding[number] for prompt in prompts for number in self.tokens("<s>" + prompt))
        return total / np.linalg.norm(total)

    def tokens(self, text):
        """Byte-level BPE by hand: added tokens whole; the rest in words, a space before the word, merged pair by pair."""
        added = "|".join(map(re.escape, self.base.added))
        for piece in re.split(f"({added})", text):
            if piece in self.base.added:
                yield self.base.vocabulary[piece]
                continue
            for word in re.findall(r" ?[A-Za-z]+| ?[^A-Za-z\s]+", piece):
                for symbol in self.merged([*word.replace(" ", "\u0120")]):
                    yield self.base.vocabulary.get(symbol, self.base.vocabulary["<unk>"])

    def merged(self, symbols):
        merges = self.merges
        while True:
            pairs = [(merges[p], i) for i, p in enumerate(zip(symbols, symbols[1:])) if p in merges]
            if not pairs:
                return symbols
            _, i = min(pairs)
            symbols[i : i + 2] = ["".join(symbols[i : i + 2])]
