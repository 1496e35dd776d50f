"""Goldens of decoder graphs: what transformers computes for small models with made weights, one file per family.

    python decoders.py            writes decoders/<model_type>.json

A case has a config.json, the names and shapes of its weights (whose numbers weights.py makes), the inputs, and what came
out. Positions are given to the model by the attention mask, so that padding may be on either side:

  hidden      last hidden states of each example's last token
  logprobs    of the next token, for every token but an example's last one, in reading order
  best        the most likely next token at the same places
  generated   what greedy generation adds
  logits      of a classifier
  vectors     the mean of an example's hidden states

The models are in decoders_cases.py.
"""

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

from decoders_cases import CASES
from weights import fill, make

NEW_TOKENS = 4


def batch(lengths, side, vocabulary, generator):
    time = max(lengths)
    ids = np.zeros((len(lengths), time), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        at = slice(0, length) if side == "right" else slice(time - length, time)
        ids[row, at] = generator.integers(3, vocabulary, length)
        mask[row, at] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def rounded(tensor):
    return [float(f"{x:.7g}") for x in tensor.flatten().tolist()]


def random_model(config, wanted):
    torch.manual_seed(0)
    kind = {"logits": AutoModelForSequenceClassification, "vectors": AutoModel}.get(wanted, AutoModelForCausalLM)
    # What transformers reads, it also changes.
    parsed = CONFIG_MAPPING[config["model_type"]].from_dict(json.loads(json.dumps(config)))
    return kind.from_config(parsed, attn_implementation="eager").eval().float()


def filled_model(config, wanted):
    model = random_model(config, wanted)
    shapes = fill(model)
    if model.config.tie_word_embeddings and "lm_head.weight" in shapes:
        # One tensor under two names, of which only the embedding's is on disk.
        del shapes["lm_head.weight"]
        name_on_disk, table = "model.embed_tokens.weight", model.get_input_embeddings().weight
        with torch.no_grad():
            table.copy_(torch.from_numpy(make(name_on_disk, tuple(table.shape))))
    return model, shapes


def run(name, config, lengths, side, wanted, seed, make_model):
    model, shapes = make_model(config, wanted)
    ids, mask = batch(lengths, side, config["vocab_size"], np.random.default_rng(seed))
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    case = {
        "name": name,
        "config": config,
        "weights": shapes,
        "input_ids": ids.tolist(),
        "attention_mask": mask.tolist(),
    }
    with torch.no_grad():
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            output_hidden_states=wanted != "vectors",
            use_cache=False,
        )
        if wanted == "logits":
            return {**case, "logits": rounded(out.logits)}
        hidden = out.last_hidden_state if wanted == "vectors" else out.hidden_states[-1]
        if wanted == "vectors":
            return {**case, "vectors": rounded((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))}
        likely = out.logits.log_softmax(-1)
        logprobs, best, last = [], [], []
        for row in range(len(lengths)):
            slots = mask[row].nonzero().flatten()
            last.append(hidden[row, slots[-1]])
            logprobs.append(likely[row, slots[:-1]].gather(-1, ids[row, slots[1:], None]))
            best.append(out.logits[row, slots[:-1]].argmax(-1))
        case |= {
            "hidden": rounded(torch.stack(last)),
            "logprobs": rounded(torch.cat(logprobs)),
            "best": torch.cat(best).tolist(),
        }
        if wanted == "generate":
            made = model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                eos_token_id=None,
                pad_token_id=0,
            )
            case["generated"] = made[:, ids.shape[1] :].tolist()
    return case


def write(cases, folder, make_model):
    """`make_model(config, wanted)` returns a model and the shapes of its weights by their names on disk."""
    made_by = {"transformers": transformers.__version__, "torch": torch.__version__}
    families = {}
    for seed, (name, config, lengths, side, wanted) in enumerate(cases):
        case = run(name, config, lengths, side, wanted, seed, make_model)
        families.setdefault(config["model_type"], []).append(case)
    folder.mkdir(exist_ok=True)
    for family, cases in families.items():
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        (folder / f"{family}.json").write_text(f'{{"made_by":{json.dumps(made_by)},"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    write(CASES, Path(__file__).parent / "decoders", filled_model)
