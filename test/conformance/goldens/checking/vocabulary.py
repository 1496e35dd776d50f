"""Which row of which model's embedding becomes which row of the output's."""

import numpy as np


class Alignment:
    """The output's tokens and, for each model, where it has them."""

    def __init__(self, merge):
        self.merge = merge
        setting = merge.recipe.get("tokenizer") or {"source": merge.recipe["tokenizer_source"]}
        self.tokens = setting.get("tokens") or {}
        source = setting.get("source", "union")
        names = list(merge.models())
        self.models = {name: merge.case.model(name) for name in names}
        first = self.models[names[0]]
        fitting = {t: i for t, i in first.vocabulary.items() if i < first.config["vocab_size"]}
        if source == "base":
            order = list(fitting)
        elif source == "union":
            order = self.union(names, fitting)
        else:
            order = list(merge.case.model(source).vocabulary)
        order += [t for t in self.tokens if t not in order]
        self.order = order
        multiple = setting.get("pad_to_multiple_of") or 1
        self.rows = -(-len(order) // multiple) * multiple

    def union(self, names, fitting):
        """The first model's tokens, then everybody's ordinary tokens, then everybody's added ones."""
        ordinary, added = {}, {}
        for name in names:
            model = self.models[name]
            for token, number in model.vocabulary.items():
                if number < model.config["vocab_size"]:
                    (added if token in model.added else ordinary)[token] = None
        return list(dict.fromkeys([*fitting, *(t for t in ordinary if t not in added), *added]))

    def row(self, name, token):
        """The model's row of a token, or None."""
        return self.models[name].vocabulary.get(token)

    def aligned(self, tensors, base):
        """Each model's tensor [tokens, width] with its rows in the output's order."""
        result = {name: [] for name in tensors}
        for token in self.order:
            setting = self.tokens.get(token, {})
            rows = {name: self.row(name, token) for name in tensors}
            filled = self.substitute(token, setting, rows, tensors, base)
            for name, tensor in tensors.items():
                keeps = rows[name] is not None and not setting.get("force")
                result[name].append(tensor[rows[name]] if keeps else filled)
        for name, rows in result.items():
            mean = np.mean(rows, axis=0)
            result[name] = np.stack(rows + [mean] * (self.rows - len(rows)))
        return result

    def substitute(self, token, setting, rows, tensors, base):
        """The row for models that lack a token, or are forced."""
        source = setting.get("source")
        having = [name for name, row in rows.items() if row is not None]
        if source is None:
            if len(having) == 1 or base not in having:
                return np.mean([tensors[n][rows[n]] for n in having], axis=0)
            return tensors[base][rows[base]]
        if isinstance(source, str):
            return tensors[source][self.row(source, token)]
        if source["kind"] == "zero":
            return np.zeros_like(next(iter(tensors.values()))[0])
        number = source["token_id"] if "token_id" in source else self.row(source["model"], source["token"])
        return tensors[source["model"]][number]
