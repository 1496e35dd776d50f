"""cases.md: what every case is about, from the comments at the top of the recipes."""

import json

import yaml

AREAS = {
    "base": "the base model",
    "bert": "BERT",
    "dtype": "dtypes",
    "filters": "filters",
    "gpt2": "GPT-2",
    "gradient": "gradients",
    "lora": "adapters",
    "modules": "modules",
    "moe": "Qwen3-MoE",
    "moe2": "Qwen2-MoE",
    "multi": "several documents",
    "reference": "references to models",
    "scalars": "values",
    "slices": "slices",
    "tied": "tied heads",
    "tokenizer": "tokenizers",
}
TITLE = """# The cases

Written by make_goldens.py from the comments at the top of the recipes. A tolerance stands where it is not the default.
"""


def about(recipe):
    comment = []
    for line in recipe.splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    return " ".join(comment)


def tolerance(name, methods, tolerances):
    found = {}
    for method in methods:
        found |= tolerances["methods"].get(method, {})
    found |= tolerances["cases"].get(name, {})
    return ", ".join(f"{key} {value:g}" for key, value in found.items() if value is not None)


def write_index(here):
    tolerances = json.loads((here / "tolerances.json").read_text())
    lines = [TITLE]
    for folder, file in [("cases", "recipe.yaml"), ("moe-cases", "config.yaml")]:
        lines += [f"## {folder}", "", "| case | area | what it is about | tolerance |", "|---|---|---|---|"]
        for path in sorted((here / folder).iterdir()):
            recipe = (path / file).read_text()
            methods = [d.get("merge_method", "mergekit-moe") for d in yaml.safe_load_all(recipe)]
            area = AREAS.get(path.name.split("_")[0], methods[-1])
            near = tolerance(path.name, methods, tolerances)
            lines.append(f"| `{path.name}` | {area} | {about(recipe)} | {near} |")
        lines.append("")
    (here / "cases.md").write_text("\n".join(lines))
