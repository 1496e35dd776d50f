"""Percentile intervals by scipy.stats.bootstrap, and exact p of McNemar's test by scipy.stats.binomtest.

Run as `python goldens.py > goldens.json`. SciPy resamples 100,000 times or more, so its own error is a third of ours at most.
"""

import json

import numpy as np
import scipy
from scipy import stats

rng = np.random.default_rng(5)


def case(name, metric, columns, statistic, resamples=200_000):
    columns = {key: np.round(values, 6) for key, values in columns.items()}
    found = stats.bootstrap(
        tuple(columns.values()),
        statistic,
        paired=len(columns) > 1,
        vectorized=False,
        n_resamples=resamples,
        method="percentile",
        random_state=rng,
    )
    return {
        "name": name,
        "metric": metric,
        "columns": {key: values.tolist() for key, values in columns.items()},
        "value": statistic(*columns.values()),
        "low": found.confidence_interval.low,
        "high": found.confidence_interval.high,
        "standardError": found.standard_error,
    }


tokens = rng.integers(20, 400, 50).astype(float)
first = rng.normal(size=80)
right_a, right_b = (rng.random(150) < 0.7).astype(float), (rng.random(150) < 0.8).astype(float)

cases = [
    case("accuracy", "mean", {"score": (rng.random(200) < 0.83).astype(float)}, np.mean),
    case("skewed scores", "mean", {"score": rng.lognormal(0, 1, 60)}, np.mean),
    case(
        "perplexity per token",
        "perplexity",
        {"logprob": -tokens * rng.normal(2.5, 0.4, 50), "tokens": tokens},
        lambda logprob, tokens: float(np.exp(-logprob.sum() / tokens.sum())),
    ),
    case(
        "Pearson correlation",
        "pearson",
        {"x": first, "y": 0.8 * first + 0.6 * rng.normal(size=80)},
        lambda x, y: float(np.corrcoef(x, y)[0, 1]),
        resamples=100_000,
    ),
    case(
        "difference of two accuracies",
        "difference",
        {"a": right_a, "b": right_b},
        lambda a, b: float(b.mean() - a.mean()),
    ),
]

mc_nemar = [
    {"wins": wins, "losses": losses, "p": stats.binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0}
    for wins, losses in [(0, 0), (1, 0), (5, 5), (9, 2), (2, 9), (40, 20), (300, 250), (3000, 2800)]
]
quantiles = [
    {"values": values, "probability": q, "quantile": float(np.quantile(values, q))}
    for values in ([1.0, 2.0, 4.0, 8.0], [3.0], [0.5, 0.5, 9.0])
    for q in (0.0, 0.025, 0.5, 0.975, 1.0)
]

versions = {"scipy": scipy.__version__, "numpy": np.__version__}
print(json.dumps({"madeWith": versions, "cases": cases, "mcNemar": mc_nemar, "quantiles": quantiles}))
