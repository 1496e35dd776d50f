"""A small vision transformer whose parameters are named and shaped as in Hugging Face's ViTForImageClassification."""

import torch
from torch import nn

HIDDEN, LAYERS, HEADS, MLP = 96, 4, 4, 192
IMAGE, PATCH, CLASSES = 8, 2, 10
PATCHES = (IMAGE // PATCH) ** 2
TOKENS = 1 + PATCHES
EPSILON = 1e-6


class Embeddings(nn.Module):
    """Cuts the image into 2x2 patches, puts the class token before them and adds a learned position to each."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, HIDDEN))
        self.position_embeddings = nn.Parameter(0.02 * torch.randn(1, TOKENS, HIDDEN))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(1, HIDDEN, PATCH, PATCH)})

    def forward(self, pixel_values):
        patches = self.patch_embeddings["projection"](pixel_values).reshape(-1, HIDDEN, PATCHES).transpose(1, 2)
        cls = self.cls_token.expand(pixel_values.shape[0], -1, -1)
        return torch.cat([cls, patches], dim=1) + self.position_embeddings


class Layer(nn.Module):
    """One encoder layer: self-attention, then a two-layer perceptron, each after a norm and beside a residual."""

    def __init__(self):
        super().__init__()
        self.attention = nn.ModuleDict(
            {
                "attention": nn.ModuleDict({name: nn.Linear(HIDDEN, HIDDEN) for name in ("query", "key", "value")}),
                "output": nn.ModuleDict({"dense": nn.Linear(HIDDEN, HIDDEN)}),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(HIDDEN, MLP)})
        self.output = nn.ModuleDict({"dense": nn.Linear(MLP, HIDDEN)})
        self.layernorm_before = nn.LayerNorm(HIDDEN, eps=EPSILON)
        self.layernorm_after = nn.LayerNorm(HIDDEN, eps=EPSILON)

    def forward(self, hidden):
        hidden = hidden + self.attend(self.layernorm_before(hidden))
        wide = nn.functional.gelu(self.intermediate["dense"](self.layernorm_after(hidden)))
        return hidden + self.output["dense"](wide)

    def attend(self, hidden):
        size = HIDDEN // HEADS
        query, key, value = (
            self.attention["attention"][name](hidden).reshape(-1, TOKENS, HEADS, size).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        weights = torch.softmax(query @ key.transpose(-1, -2) * size**-0.5, dim=-1)
        return self.attention["output"]["dense"]((weights @ value).transpose(1, 2).reshape(-1, TOKENS, HIDDEN))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.vit = nn.ModuleDict(
            {
                "embeddings": Embeddings(),
                "encoder": nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(LAYERS))}),
                "layernorm": nn.LayerNorm(HIDDEN, eps=EPSILON),
            }
        )
        self.classifier = nn.Linear(HIDDEN, CLASSES)

    def forward(self, pixel_values):
        hidden = self.vit["embeddings"](pixel_values)
        for layer in self.vit["encoder"]["layer"]:
            hidden = layer(hidden)
        return self.classifier(self.vit["layernorm"](hidden)[:, 0])


CONFIG = {
    "architectures": ["ViTForImageClassification"],
    "model_type": "vit",
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": MLP,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "layer_norm_eps": EPSILON,
    "qkv_bias": True,
    "image_size": IMAGE,
    "patch_size": PATCH,
    "num_channels": 1,
    "id2label": {str(digit): str(digit) for digit in range(CLASSES)},
    "label2id": {str(digit): digit for digit in range(CLASSES)},
    "torch_dtype": "bfloat16",
}

# A pixel of 0..16 becomes (pixel / 16 - 0.5) / 0.5, which is -1..1 and exact in bfloat16.
PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": False,
    "do_rescale": True,
    "rescale_factor": 1 / 16,
    "do_normalize": True,
    "image_mean": [0.5],
    "image_std": [0.5],
    "size": {"height": IMAGE, "width": IMAGE},
}
