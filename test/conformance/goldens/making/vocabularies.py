"""Tiny Llamas that differ in their vocabularies, for tokenizer cases and for mixtures of experts.

    models-vocab/base    41 tokens of byte-level BPE
    models-vocab/chatml  base's tokens and <|im_start|>, <|im_end|>; the only one with a chat template
    models-vocab/other   39 tokens, of which base lacks 3, in an order of its own; <|im_start|> too
    models-vocab/padded  base's tokens, but 48 rows of embedding
    models-vocab/unused  four tokens more than rows of embedding
    models-qwen3/        base and a, Qwen3 with base's tokens
"""

import json

from making.families import llama_config, llama_shapes, qwen3_config, qwen3_shapes

LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
SPACE = "\u0120"
BASE_MERGES = [
    ("t", "h"), ("th", "e"), (SPACE, "the"), ("i", "n"), (SPACE, "a"),
    ("a", "n"), ("an", "d"), (SPACE, "and"), ("o", "f"), (SPACE, "of"),
]
OTHER_MERGES = [
    ("t", "h"), ("th", "e"), (SPACE, "the"), ("i", "n"), ("e", "r"), ("in", "g"), (SPACE, "a"),
]
BASE_TOKENS = ["<unk>", "<s>", "</s>", SPACE, *LETTERS, ".", *("".join(m) for m in BASE_MERGES)]
OTHER_TOKENS = ["<s>", "</s>", "<unk>", *reversed(LETTERS), ".", SPACE, *("".join(m) for m in OTHER_MERGES)]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"

# name: tokens, merges, added tokens, rows of embedding
VOCABULARIES = {
    "base": (BASE_TOKENS, BASE_MERGES, [], 41),
    "chatml": (BASE_TOKENS, BASE_MERGES, ["<|im_start|>", "<|im_end|>"], 43),
    "other": (OTHER_TOKENS, OTHER_MERGES, ["<|im_start|>"], 39),
    "padded": (BASE_TOKENS, BASE_MERGES, [], 48),
    "unused": (BASE_TOKENS, BASE_MERGES, [f"<unused{i}>" for i in range(4)], 41),
}


def added_token(token, place):
    return {
        "id": place,
        "content": token,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def tokenizer_json(name):
    """The file of the `tokenizers` library, complete."""
    tokens, merges, added, _rows = VOCABULARIES[name]
    special = [(t, tokens.index(t)) for t in ("<unk>", "<s>", "</s>")]
    special += [(t, len(tokens) + i) for i, t in enumerate(added)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(t, i) for t, i in sorted(special, key=lambda pair: pair[1])],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {t: i for i, t in enumerate(tokens)},
            "merges": [list(m) for m in merges],
        },
    }


def tokenizer_config(name):
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": 64,
        "clean_up_tokenization_spaces": False,
    }
    return config | ({"chat_template": TEMPLATE} if name == "chatml" else {})


def write_tokenizer(folder, name):
    for file, value in [("tokenizer.json", tokenizer_json(name)), ("tokenizer_config.json", tokenizer_config(name))]:
        (folder / file).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def vocabulary_models(make_base, make_variant, change):
    """(name, config, tensors) of every model; rows of embeddings are unlike from model to model."""
    shapes = llama_shapes(llama_config(vocab_size=1, num_hidden_layers=1))
    common = {n: make_base(f"vocab/{n}", s) for n, s in shapes.items()}
    for name, (tokens, _merges, _added, rows) in VOCABULARIES.items():
        config = llama_config(
            vocab_size=rows,
            num_hidden_layers=1,
            bos_token_id=tokens.index("<s>"),
            eos_token_id=tokens.index("</s>"),
        )
        tensors = {}
        for n, shape in llama_shapes(config).items():
            if shape[0] == rows and len(shape) == 2 and ("embed" in n or "head" in n):
                tensors[n] = make_base(f"vocab/{name}/{n}", shape)
            else:
                tensors[n] = common[n] if name == "base" else make_variant(f"vocab/{name}", change, n, common[n])
        yield name, config, tensors


def qwen3_models(make_base, make_variant, change):
    config = qwen3_config(vocab_size=41)
    base = {n: make_base(f"qwen3/{n}", s) for n, s in qwen3_shapes(config).items()}
    yield "base", config, base
    yield "a", config, {n: make_variant("qwen3/a", change, n, t) for n, t in base.items()}
