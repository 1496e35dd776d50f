"""The same batch by transformers, as one would write it by hand: the least that gives the same numbers.

usage: evaluate_reference.py serve WORK ATTENTION THREADS CHECKPOINT INPUTS
           loads, then for every line on stdin runs the batch once and prints what it took and what came out
       evaluate_reference.py score ATTENTION THREADS CHECKPOINT TEXTS
           loads, and prints the log-likelihoods of the lines of a file, which are one batch

WORK: likelihood, embeddings, logits or generation. ATTENTION: eager or sdpa. Everything is computed in f32.
"""

import json
import resource
import sys
import time

import torch
import transformers

NEW_TOKENS = 64


def logprobs(model, ids, mask):
    """Of every token but the first of each row."""
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    return logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]


def likelihood(model, input_ids, attention_mask):
    return logprobs(model, input_ids, attention_mask)


def embeddings(model, input_ids, attention_mask):
    hidden = model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    weights = attention_mask[..., None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def logits(model, pixel_values):
    return model(pixel_values=pixel_values).logits


def generation(model, input_ids, attention_mask):
    settings = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False, "pad_token_id": 0}
    return model.generate(input_ids=input_ids, attention_mask=attention_mask, **settings)[:, input_ids.shape[1] :]


AUTO_CLASSES = {
    likelihood: transformers.AutoModelForCausalLM,
    embeddings: transformers.AutoModel,
    logits: transformers.AutoModelForImageClassification,
    generation: transformers.AutoModelForCausalLM,
}


def load(auto_class, checkpoint, attention):
    return auto_class.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation=attention).eval()


def serve(work, attention, checkpoint, inputs):
    from safetensors.torch import load_file

    run = {work.__name__: work for work in AUTO_CLASSES}[work]
    model = load(AUTO_CLASSES[run], checkpoint, attention)
    batch = load_file(inputs)
    versions = f"transformers {transformers.__version__}, PyTorch {torch.__version__}"
    print(json.dumps({"versions": versions}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        result = run(model, **batch).flatten().tolist()
        seconds = time.perf_counter() - started
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"seconds": seconds, "peakBytes": peak, "numbers": result}), flush=True)


def score(attention, checkpoint, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model = load(transformers.AutoModelForCausalLM, checkpoint, attention)
    with open(texts, encoding="utf-8") as file:
        lines = [json.loads(line)["text"] for line in file]
    encoded = tokenizer(lines, return_tensors="pt")
    scores = logprobs(model, encoded.input_ids, encoded.attention_mask).sum(-1)
    print(json.dumps({"event": "batch", "scores": scores.tolist()}), flush=True)


def main():
    command, *words = sys.argv[1:]
    threads = int(words.pop(2 if command == "serve" else 1))
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    (serve if command == "serve" else score)(*words)


main()
