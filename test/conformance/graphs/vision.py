"""Writes vision.json: what ViT, DeiT and CLIP of transformers answer, with weights and pixels made by weights.py.

    pip install torch==2.15.0 transformers==5.23.0 safetensors && python test/conformance/graphs/vision.py

Models are saved, get made weights by the names on disk, and are loaded again, as names on disk are those of published
checkpoints. Weights of norms that weights.py does not know as such get one added (see norm_aware). Pixels are made too,
so that only config, tokens and outputs are committed. Of large outputs the first values of each row are kept.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)
from weights import make

KEPT = 48
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}

# google/vit-base-patch16-224, at 2 of 12 layers.
VIT_B16 = ViTConfig(
    hidden_size=768, num_hidden_layers=2, num_attention_heads=12, intermediate_size=3072, hidden_act="gelu",
    layer_norm_eps=1e-12, image_size=224, patch_size=16, num_channels=3, qkv_bias=True, num_labels=1000,
)  # fmt: skip
# openai/clip-vit-base-patch32, at 1 of 12 layers and with 4,096 of 49,408 tokens.
CLIP_B32 = CLIPConfig(
    text_config={
        "hidden_size": 512, "num_hidden_layers": 1, "num_attention_heads": 8, "intermediate_size": 2048,
        "max_position_embeddings": 77, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "vocab_size": 4096,
        "eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1,
    },
    vision_config={
        "hidden_size": 768, "num_hidden_layers": 1, "num_attention_heads": 12, "intermediate_size": 3072,
        "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    },
    projection_dim=512,
)  # fmt: skip


def norm_aware(name, shape):
    known = name.endswith("norm.weight") or "LayerNorm.weight" in name
    is_norm = len(shape) == 1 and "norm" in name and name.endswith(".weight")
    return make(name, shape) + np.float32(1 if is_norm and not known else 0)


def load_made(kind, config):
    """A model with made weights, and the shapes of its checkpoint's tensors."""
    with tempfile.TemporaryDirectory() as folder:
        kind(config).save_pretrained(folder)
        path = Path(folder, "model.safetensors")
        shapes = {name: list(tensor.shape) for name, tensor in load_file(path).items()}
        made = {name: torch.from_numpy(np.array(norm_aware(name, tuple(shape)))) for name, shape in shapes.items()}
        save_file(made, path, {"format": "pt"})
        saved = {"architectures": [kind.__name__]} | without_defaults(config)
        return kind.from_pretrained(folder, attn_implementation="eager").eval(), saved, shapes


def without_defaults(config):
    """A config.json that leaves out what transformers has by default, as files of older versions do."""
    by_default = type(config)().to_dict()
    kept = {key: value for key, value in config.to_dict().items() if value != by_default.get(key)}
    for key in ("label2id", "transformers_version", "dtype", "id2label" if config is VIT_B16 else ""):
        kept.pop(key, None)
    nested = {key: without_defaults(getattr(config, key)) for key in ("text_config", "vision_config") if key in kept}
    return kept | nested | {"model_type": config.model_type}


def pixels_for(config, batch):
    vision = getattr(config, "vision_config", config)
    shape = (batch, vision.num_channels, vision.image_size, vision.image_size)
    return torch.from_numpy(make("pixel_values", shape) * np.float32(4))


def case(name, loaded, role, inputs, output, values, **request):
    values = np.asarray(values.detach())
    kept = values.reshape(values.shape[0], -1)[:, : KEPT if values[0].size > 1000 or values.shape[-1] > 200 else None]
    written = {
        "name": name,
        "request": request,
        "role": role,
        "inputs": inputs,
        "output": output,
        "shape": list(values.shape),
        "rows": [[round(float(x), 6) for x in row] for row in kept],
    }
    return loaded, written


def vit_cases():
    tiny = ViTConfig(**TINY, image_size=8, patch_size=2, num_labels=5, layer_norm_eps=1e-6)
    loaded = load_made(ViTForImageClassification, tiny)
    for batch in (2, 1):
        yield case(f"classifier, batch of {batch}", loaded, "body", {"images": batch}, "logits",
                   loaded[0](pixels_for(tiny, batch)).logits)  # fmt: skip

    # 11 pixels in patches of 3: two rows and columns of pixels are left over.
    uneven = ViTConfig(**TINY, image_size=11, patch_size=3, num_channels=1, qkv_bias=False, hidden_act="gelu_new")
    loaded = load_made(ViTModel, uneven)
    out = loaded[0](pixels_for(uneven, 3))
    images = {"images": 3}
    yield case("encoder, one channel, no qkv biases", loaded, "body", images, "hidden", out.last_hidden_state)
    for mode, vectors in {
        "pooler": out.pooler_output,
        "cls": out.last_hidden_state[:, 0],
        "mean": out.last_hidden_state[:, 1:].mean(1),
    }.items():
        pooling = {"mode": mode, "normalize": False}
        yield case(f"vectors by {mode}", loaded, "body", images, "vectors", vectors, pooling=pooling)
    unit = torch.nn.functional.normalize(out.last_hidden_state[:, 0], dim=-1)
    pooling = {"mode": "cls", "normalize": True}
    yield case("vectors of length 1", loaded, "body", images, "vectors", unit, pooling=pooling)

    deit = DeiTConfig(**TINY, image_size=6, patch_size=2, num_labels=3)
    for kind in (DeiTForImageClassification, DeiTForImageClassificationWithTeacher):
        loaded = load_made(kind, deit)
        logits = loaded[0](pixels_for(deit, 2)).logits
        yield case(kind.__name__, loaded, "body", {"images": 2}, "logits", logits)

    loaded = load_made(ViTForImageClassification, VIT_B16)
    logits = loaded[0](pixels_for(VIT_B16, 2)).logits
    yield case("ViT-B/16 at 2 layers", loaded, "body", {"images": 2}, "logits", logits)


def clip_cases():
    vision = TINY | {"image_size": 8, "patch_size": 4}
    text = TINY | {"hidden_size": 12, "vocab_size": 20, "max_position_embeddings": 10, "bos_token_id": 17}
    # The tokenizer pads with the token that ends a text.
    new = CLIPConfig(text_config=text | {"eos_token_id": 18, "pad_token_id": 18}, vision_config=vision, projection_dim=6)
    rows = {
        "right": ([[17, 3, 19, 18, 18, 18], [17, 5, 6, 7, 8, 18]], [[1, 1, 1, 1, 0, 0], [1] * 6]),
        "left": ([[18, 18, 17, 3, 19, 18], [17, 5, 6, 7, 8, 18]], [[0, 0, 1, 1, 1, 1], [1] * 6]),
        "no": ([[17, 3, 19, 18]], [[1] * 4]),
        "longest": ([[17, 1, 2, 3, 4, 5, 6, 7, 8, 18], [17, 9, 10, 18, 18, 18, 18, 18, 18, 18]], [[1] * 10, [1] * 4 + [0] * 6]),
    }  # fmt: skip
    loaded = load_made(CLIPModel, new)
    for name in ("right", "no", "longest"):
        yield text_case(f"text, {name} padding" if name != "longest" else "text, the longest", loaded, *rows[name])
    # transformers pools at the first token of the padding here, so the text without padding says what is right.
    right = loaded[0].get_text_features(*map(torch.tensor, rows["right"])).pooler_output
    yield case("text, left padding", loaded, "text", tokens(*rows["left"]), "vectors", right)
    images = loaded[0].get_image_features(pixels_for(new, 2)).pooler_output
    yield case("image", loaded, "image", {"images": 2}, "vectors", images)

    old = CLIPConfig(text_config=text | {"eos_token_id": 2, "hidden_act": "gelu"}, vision_config=vision | {"hidden_act": "gelu"}, projection_dim=6)  # fmt: skip
    loaded = load_made(CLIPModel, old)
    ids = [[17, 2, 4, 19, 0, 0], [17, 5, 6, 7, 8, 19]]
    yield text_case("text, eos_token_id 2 and gelu", loaded, ids, [[1] * 4 + [0] * 2, [1] * 6])
    yield case("image, gelu", loaded, "image", {"images": 1}, "vectors",
               loaded[0].get_image_features(pixels_for(old, 1)).pooler_output)  # fmt: skip

    alone = CLIPVisionConfig(**vision, projection_dim=6)
    loaded = load_made(CLIPVisionModel, alone)
    vectors = loaded[0](pixels_for(alone, 2)).pooler_output
    yield case("vision tower alone", loaded, "image", {"images": 2}, "vectors", vectors)
    loaded = load_made(CLIPVisionModelWithProjection, alone)
    vectors = loaded[0](pixels_for(alone, 2)).image_embeds
    yield case("vision tower with its projection", loaded, "image", {"images": 2}, "vectors", vectors)
    tower = CLIPTextConfig(**text, eos_token_id=18, pad_token_id=18, projection_dim=6)
    loaded = load_made(CLIPTextModelWithProjection, tower)
    ids, mask = rows["right"]
    vectors = loaded[0](torch.tensor(ids), torch.tensor(mask)).text_embeds
    yield case("text tower with its projection", loaded, "text", tokens(ids, mask), "vectors", vectors)

    loaded = load_made(CLIPModel, CLIP_B32)
    vectors = loaded[0].get_image_features(pixels_for(CLIP_B32, 2)).pooler_output
    yield case("CLIP ViT-B/32 at 1 layer, image", loaded, "image", {"images": 2}, "vectors", vectors)
    ids = [[4094] + [(7 * i) % 4000 for i in range(75)] + [4095], [4094, 320, 1125, 539, 4095] + [0] * 72]
    yield text_case("CLIP ViT-B/32 at 1 layer, text", loaded, ids, [[1] * 77, [1] * 5 + [0] * 72])


def tokens(ids, mask):
    return {"input_ids": ids, "attention_mask": mask}


def text_case(name, loaded, ids, mask):
    vectors = loaded[0].get_text_features(torch.tensor(ids), torch.tensor(mask)).pooler_output
    return case(name, loaded, "text", tokens(ids, mask), "vectors", vectors)


with torch.no_grad():
    made = [*vit_cases(), *clip_cases()]
models = {}
for (_, config, shapes), written in made:
    models.setdefault(id(shapes), {"config": config, "shapes": shapes, "cases": []})["cases"].append(written)
versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
lines = ",\n".join(json.dumps(model) for model in models.values())
Path(__file__).with_suffix(".json").write_text(f'{{\n"made_by": "{versions}",\n"models": [\n{lines}\n]\n}}\n')
