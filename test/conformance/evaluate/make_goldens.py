"""Makes small tokenizers, and what the field's own libraries say about texts, windows, choices and scores.

    python make_goldens.py     # transformers 5.23.0, tokenizers 0.23.3, lm_eval 0.4.13, scipy 1.17.1, scikit-learn 1.9.1

tokenizers/<name>/ are folders as transformers writes them. text.json holds the numbers of texts and rendered chats,
likelihood.json what lm-evaluation-harness makes of contexts and long texts, scores.json what a small model with made
weights says about some, metrics.json scores of random numbers.
"""

import importlib.util
import json
import os
import random
import re
import shutil
import sys
import types

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import average_precision_score, f1_score, ndcg_score
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "graphs"))

from weights import fill  # noqa: E402

CORPUS = [
    "The merge of two models is a weighted sum of their weights, isn't it?",
    "A tokenizer cuts text into tokens; every token has a row in the embedding.",
    "Question: which one is right? Answer: the second choice of four.",
    "Quand deux modèles ont d'autres mots, leurs lignes sont remises en ordre.",
] * 20
TEXTS = [
    "The models merge.",
    "  two  spaces\n\nand lines ",
    "Ça coûte déjà 3 €",
    "[CLS] is not <s> nor </s>",
    "Question: which one?\nAnswer:",
    "don't stop , now !",
]
PAIRS = [("The first text", "and the second one, which is longer"), ("a much longer first text of a pair", "b")]

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if loop.first and message['role'] == 'user' %}<|system|>Be brief.\n{% endif %}"
    "<|{{ message['role'] }}|>{{ message['content'] | trim }}{{ eos_token }}\n"
    "{% endfor %}\n"
    "{%- if tools is not none %}TOOLS{% endif %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CHATS = [
    [{"role": "user", "content": " How many? "}],
    [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "Why?"},
    ],
]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    train = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(CORPUS, train)
    return tokenizer, {"bos_token": "<|end|>", "eos_token": "<|end|>", "chat_template": TEMPLATE}


def llama_like():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=special))
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = state["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(state))
    fields = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
    return tokenizer, {**fields, "add_bos_token": True, "add_eos_token": False, "chat_template": TEMPLATE}


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=150, special_tokens=special))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fields = ["pad", "unk", "cls", "sep", "mask"]
    return tokenizer, {f"{field}_token": token for field, token in zip(fields, special)}


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    train = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, train)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer, {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


MAKERS = {"byte-level": byte_level, "llama-like": llama_like, "word-piece": word_piece, "unigram": unigram}


def text_goldens():
    goldens = {}
    for name, make in MAKERS.items():
        folder = os.path.join(HERE, "tokenizers", name)
        shutil.rmtree(folder, ignore_errors=True)
        tokenizer, fields = make()
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **fields)
        fast.save_pretrained(folder)
        path = os.path.join(folder, "tokenizer_config.json")
        config = json.load(open(path))
        json.dump({**config, **{k: v for k, v in fields.items() if k.startswith("add_")}}, open(path, "w"), indent=2)
        loaded = AutoTokenizer.from_pretrained(folder)
        ids = [loaded.encode(text) for text in TEXTS]
        pairs = [loaded(a, b, return_token_type_ids=True) for a, b in PAIRS]
        cut = []
        for side in ["right", "left"]:
            loaded.truncation_side = side
            for most in [4, 6, 9]:
                for a, b in [(TEXTS[0], None), *PAIRS]:
                    if b is None or name in ["word-piece", "unigram"]:
                        # A pair is cut by the library's "longest_first".
                        out = loaded(a, b, truncation="longest_first", max_length=most)["input_ids"]
                        cut.append({"text": a, "pair": b, "side": side, "most": most, "ids": out})
        goldens[name] = {
            "ids": ids,
            "bare": [loaded.encode(text, add_special_tokens=False) for text in TEXTS],
            "pairs": [{"ids": p["input_ids"], "types": p["token_type_ids"]} for p in pairs],
            "decoded": [loaded.decode(row, skip_special_tokens=True) for row in ids],
            "cut": cut,
            "size": len(loaded),
            "special": {"bos": loaded.bos_token_id, "eos": loaded.eos_token_id, "pad": loaded.pad_token_id},
            "chats": [loaded.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in CHATS]
            if "chat_template" in fields
            else [],
        }
    return {"texts": TEXTS, "pairs": PAIRS, "chats": CHATS, "tokenizers": goldens}


def lm_eval_module(name):
    """A module of lm_eval without its package, whose import needs much that is not needed here."""
    root = importlib.util.find_spec("lm_eval").submodule_search_locations[0]
    return open(os.path.join(root, name)).read()


def function_of(source, name, indent=""):
    start = re.search(rf"^{indent}def {name}\(", source, re.M).start()
    end = re.search(rf"^{indent}(?:def |class |@)", source[start + 4 + len(indent) :], re.M)
    body = source[start : start + 4 + len(indent) + end.start()] if end else source[start:]
    scope = {"Generator": __import__("typing").Generator, "re": re}
    exec("from __future__ import annotations\n" + "\n".join(line[len(indent) :] for line in body.split("\n")), scope)
    return scope[name]


def likelihood_goldens():
    utils = lm_eval_module("utils.py")
    windows = function_of(utils, "get_rolling_token_windows")
    disjoint = function_of(utils, "make_disjoint_window")
    encode_pair = function_of(lm_eval_module("api/model.py"), "_encode_pair", "    ")
    rolling = []
    for length, window, stride in [(10, 4, 4), (10, 4, 1), (3, 8, 8), (9, 4, 3), (8, 8, 8), (17, 5, 2), (1, 1, 1), (0, 4, 4)]:
        context = window - stride + 1
        cut = [disjoint(pair) for pair in windows(list(range(length)), 99, window, context)]
        rolling.append({"length": length, "window": window, "stride": stride, "windows": cut})
    pairs = []
    for name in MAKERS:
        tokenizer = AutoTokenizer.from_pretrained(os.path.join(HERE, "tokenizers", name))
        for backend in ["causal", "seq2seq"]:
            model = types.SimpleNamespace(
                backend=backend,
                tok_encode=lambda text, add_special_tokens=True: tokenizer.encode(
                    text, add_special_tokens=add_special_tokens
                ),
            )
            for context, continuation in [
                ("Question: which one?\nAnswer:", " the second"),
                ("Two models and \n ", "a merge"),
                ("The merge of mod", "els"),
            ]:
                before, after = encode_pair(model, context, continuation)
                pairs.append({"tokenizer": name, "backend": backend, "context": context, "continuation": continuation,
                              "before": before, "after": after})
    words = [" a b ", "", "one", "two\u00a0words\u2003here", "a\x1cb\ufeffc", "\n\n"]
    choices = []
    generator = random.Random(6)
    for _ in range(20):
        texts = [generator.choice(["é", "naïve 👩", "long answer", "b", "日本語のテキスト"]) * generator.randint(1, 3) for _ in range(4)]
        logprobs = [round(-30 * generator.random(), 3) for _ in texts]
        by_length = np.argmax(np.array(logprobs) / np.array([float(len(t)) for t in texts]))
        by_bytes = np.argmax(np.array(logprobs) / np.array([float(len(t.encode())) for t in texts]))
        choices.append({"texts": texts, "logprobs": logprobs, "acc": int(np.argmax(logprobs)),
                        "acc_norm": int(by_length), "acc_bytes": int(by_bytes)})
    return {
        "rolling": rolling,
        "pairs": pairs,
        "words": [{"text": text, "count": len(re.split(r"\s+", text))} for text in words],
        "choices": choices,
    }


def scores_goldens():
    """What transformers says about texts and choices, one sequence at a time, cut as lm-evaluation-harness cuts them."""
    tokenizer = AutoTokenizer.from_pretrained(os.path.join(HERE, "tokenizers", "byte-level"))
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=24)
    model = LlamaForCausalLM(config).eval()
    shapes = fill(model)
    utils, base = lm_eval_module("utils.py"), lm_eval_module("api/model.py")
    lm = types.SimpleNamespace(backend="causal", tok_encode=lambda text, **_: tokenizer.encode(text))

    def logprob(context, continuation):
        fed = (context + continuation)[-(config.max_position_embeddings + 1) :][:-1]
        with torch.no_grad():
            logits = model(torch.tensor([fed])).logits[0, -len(continuation) :].double()
        return logits.log_softmax(-1)[range(len(continuation)), continuation].sum().item()

    questions = [
        {"q": "Question: which one is right?\nAnswer:", "c": ["the second choice", "every token", "a row"], "a": 1},
        {"q": "The merge of two models is a weighted sum of their ", "c": ["weights", "embedding"], "a": "A"},
        {"q": "A much longer question, of which the model sees the end alone. " * 2, "c": ["b", "isn't it?"], "a": "b"},
    ]
    encode_pair = function_of(base, "_encode_pair", "    ")
    for question in questions:
        question["logprobs"] = [logprob(*encode_pair(lm, question["q"], f" {choice}")) for choice in question["c"]]
    windows, disjoint = function_of(utils, "get_rolling_token_windows"), function_of(utils, "make_disjoint_window")
    texts = [CORPUS[0], CORPUS[1] * 3, "short"]
    rolling = []
    for text in texts:
        cut = map(disjoint, windows(tokenizer.encode(text), tokenizer.bos_token_id, config.max_position_embeddings, 1))
        rolling.append(sum(logprob(*window) for window in cut))
    return {"config": config.to_dict(), "weights": shapes, "questions": questions,
            "texts": [{"text": text, "logprob": total} for text, total in zip(texts, rolling)]}


def metrics_goldens():
    rng = np.random.default_rng(6)
    correlations = []
    for ties in [False, True]:
        a = rng.normal(size=30)
        b = a + rng.normal(size=30)
        if ties:
            a, b = np.round(a), np.round(b * 2)
        correlations.append({"a": a.tolist(), "b": b.tolist(), "pearson": float(pearsonr(a, b)[0]),
                             "spearman": float(spearmanr(a, b)[0])})
    rankings = []
    for _ in range(8):
        relevance = rng.integers(0, 4, size=15) * (rng.random(15) < 0.5)
        relevance[3] = 1
        scores = rng.normal(size=15)
        for at in [3, 10]:
            top = np.argsort(-scores)[:at]
            hits = [i for i, document in enumerate(top) if relevance[document] > 0]
            rankings.append({"relevance": relevance.tolist(), "scores": scores.tolist(), "at": at,
                             "ndcg": float(ndcg_score([relevance], [scores], k=at, ignore_ties=True)),
                             "recall": len(hits) / int((relevance > 0).sum()),
                             "mrr": 1 / (hits[0] + 1) if hits else 0})
    truths = (rng.random((40, 5)) < 0.3).astype(int)
    probabilities = np.round(rng.random((40, 5)), 2)
    predicted = (probabilities > 0.5).astype(int)
    multi = {
        "truths": truths.tolist(),
        "probabilities": probabilities.tolist(),
        "micro_f1": float(f1_score(truths, predicted, average="micro")),
        "macro_f1": float(f1_score(truths, predicted, average="macro")),
        "acc": float((truths == predicted).all(axis=1).mean()),
        "mean_average_precision": float(average_precision_score(truths, probabilities, average="macro")),
    }
    return {"correlations": correlations, "rankings": rankings, "multi_label": multi}


def write(name, value):
    with open(os.path.join(HERE, name), "w") as file:
        json.dump(value, file, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    write("text.json", text_goldens())
    write("likelihood.json", likelihood_goldens())
    write("scores.json", scores_goldens())
    write("metrics.json", metrics_goldens())
