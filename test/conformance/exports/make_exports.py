"""Writes tiny exports of BERT, ViT and Llama by torch.onnx's two exporters, and what transformers computes with other weights.

For each model: <name>-<exporter>.onnx, exported with the weights that test/conformance/graphs/weights.py makes, and
<name>.json: the config, the shapes of the checkpoint's tensors, inputs, and the outputs of the same model with other weights,
those made for the tensors' names with "other/" in front. So a test that binds the export to the first checkpoint by value and
runs it on the second finds transformers' numbers only if every weight was found. bert-fused.onnx is what ONNX Runtime's
optimizer makes of BERT: queries, keys and values packed into one. vit-dynamo.onnx was exported for a batch of two, so the class
token is in it as a constant, expanded: an export that cannot be bound.

Exporters' notes about source lines are taken out, for size.

Made with torch 2.15.0, transformers 5.23.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.31.1.
"""

import json
import sys
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.transformers import optimizer
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    ViTConfig,
    ViTForImageClassification,
)

here = Path(__file__).parent
sys.path.append(str(here.parent / "graphs"))
import weights  # noqa: E402

warnings.filterwarnings("ignore")


def fill(model, prefix: str) -> None:
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.dtype.is_floating_point:
                tensor.copy_(torch.from_numpy(weights.make(prefix + name, tuple(tensor.shape))))


class Logits(torch.nn.Module):
    """Takes and gives plain tensors, as exporters want it."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits


def ids(rows, columns, vocabulary):
    return (torch.arange(rows * columns).reshape(rows, columns) * 7 + 3) % vocabulary


def bert():
    config = BertConfig(
        vocab_size=48, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16, num_labels=3, attn_implementation="eager",
    )
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    return BertForSequenceClassification(config), {
        "input_ids": ids(2, 5, 48),
        "attention_mask": mask,
        # Left out, the newer exporter would look their embeddings up once and for all.
        "token_type_ids": torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]]),
        "position_ids": torch.arange(5)[None].expand(2, 5),
    }


def vit():
    config = ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=8, patch_size=4,
        num_labels=3, attn_implementation="eager",
    )
    pixels = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8).remainder(17) / 8 - 1
    return ViTForImageClassification(config), {"pixel_values": pixels}


def llama():
    config = LlamaConfig(
        vocab_size=48, hidden_size=24, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, head_dim=6,
        intermediate_size=32, max_position_embeddings=16, tie_word_embeddings=False, use_cache=False,
        attn_implementation="eager",
    )
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    return LlamaForCausalLM(config), {"input_ids": ids(2, 5, 48), "attention_mask": mask}


def shorten(path) -> None:
    model = onnx.load(path)
    graph = model.graph
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    for part in [*graph.node, *graph.initializer, *graph.input, *graph.output]:
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


def numbers(tensor):
    return {"shape": list(tensor.shape), "values": tensor.flatten().tolist()}


def golden(model, inputs):
    model.eval()
    fill(model, "other/")
    with torch.no_grad():
        logits = model(**inputs).logits
    return {
        "shapes": {n: list(t.shape) for n, t in model.state_dict().items() if t.dtype.is_floating_point},
        "inputs": {n: numbers(t) for n, t in inputs.items()},
        "logits": numbers(logits),
    }


def main() -> None:
    for name, build in {"bert": bert, "vit": vit, "llama": llama}.items():
        # On a model of its own: exporting leaves its mark on the one that is exported.
        (here / f"{name}.json").write_text(json.dumps(golden(*build())) + "\n")
        model, inputs = build()
        model.eval()
        fill(model, "")
        wrapped, feeds = Logits(model, list(inputs)), tuple(inputs.values())
        for exporter in ("torchscript", "dynamo"):
            path = here / f"{name}-{exporter}.onnx"
            options = {"input_names": list(inputs), "output_names": ["logits"]}
            if exporter == "dynamo":
                torch.onnx.export(wrapped, feeds, path, dynamo=True, external_data=False, **options)
            else:
                axes = {n: {0: "batch"} for n in [*inputs, "logits"]}
                torch.onnx.export(wrapped, feeds, path, dynamo=False, opset_version=17, dynamic_axes=axes, **options)
            shorten(path)
        if name == "llama":
            # For texts of any length, as a user would export it.
            path = here / "llama-any-length.onnx"
            axes = {n: {0: "batch", 1: "time"} for n in [*inputs, "logits"]}
            torch.onnx.export(
                wrapped, feeds, path, dynamo=False, opset_version=17, dynamic_axes=axes,
                input_names=list(inputs), output_names=["logits"],
            )
            shorten(path)
        if name == "bert":
            fused = optimizer.optimize_model(
                str(here / "bert-torchscript.onnx"), "bert", num_heads=2, hidden_size=24, opt_level=0
            )
            fused.save_model_to_file(str(here / "bert-fused.onnx"))
            shorten(here / "bert-fused.onnx")


if __name__ == "__main__":
    main()
