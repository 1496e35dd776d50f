"""Evaluations until a function is brought to a target, by searches that others wrote: SciPy, pycma, Optuna, pymoo.

usage: theirs.py < goals.json    (see searches.ts; prints {"branin": {"tpe": [12, null, …]}, …}, a number per seed)
"""

import json
import math
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")
CENTRE = 0.3


class Reached(Exception):
    pass


class Counter:
    """Counts evaluations and stops a search when it has reached its target or used them up."""

    def __init__(self, loss, target, limit):
        self.loss, self.target, self.limit = loss, target, limit
        self.count, self.reached = 0, None

    def __call__(self, unit):
        self.count += 1
        loss = float(self.loss(np.asarray(unit, dtype=float)))
        if loss <= self.target:
            self.reached = self.count
        if self.reached is not None or self.count >= self.limit:
            raise Reached
        return loss


def functions(axes):
    def sphere(u):
        return np.sum((u - CENTRE) ** 2)

    def ellipsoid(u):
        return np.sum(1e3 ** (np.arange(len(u)) / max(1, len(u) - 1)) * (u - CENTRE) ** 2)

    def rotated(u):
        return ellipsoid(np.asarray(axes) @ (u - CENTRE) + CENTRE)

    def rosenbrock(u):
        x = 3 * u - 1
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def branin(u):
        x, y = 15 * u[0] - 5, 15 * u[1]
        valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
        return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.397887357729739

    return locals()


def random(f, n, seed):
    numbers = np.random.default_rng(seed)
    while True:
        f(numbers.random(n))


def sobol(f, n, seed):
    from scipy.stats import qmc

    for unit in qmc.Sobol(n, seed=seed).random(1 << 12):
        f(unit)


def differential_evolution(f, n, seed):
    from scipy.optimize import differential_evolution as search

    search(f, [(0, 1)] * n, seed=seed, tol=0, maxiter=10**6, polish=False)


def tpe(f, n, seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(n_startup_trials=10, multivariate=False, seed=seed)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: f([trial.suggest_float(f"x{i}", 0, 1) for i in range(n)]), n_trials=10**6)


def cma_es(f, n, seed, diagonal=False):
    import cma

    options = {"bounds": [0, 1], "seed": seed + 1, "verbose": -9, "CMA_diagonal": diagonal, "maxfevals": 10**6}
    strategy = cma.CMAEvolutionStrategy(n * [0.5], 1 / 6, options)
    while not strategy.stop():
        units = strategy.ask()
        strategy.tell(units, [f(unit) for unit in units])


SEARCHES = {
    "random": random,
    "sobol": sobol,
    "tpe": tpe,
    "cma-es": cma_es,
    "sep-cma-es": lambda f, n, seed: cma_es(f, n, seed, True),
    "differential evolution": differential_evolution,
}


def evaluations(search, loss, goal, limit, seed):
    counter = Counter(loss, goal["target"], limit)
    try:
        search(counter, goal["dimensions"], seed)
    except Reached:
        pass
    return counter.reached


def front_evaluations(goal, seed):
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.indicators.hv import HV
    from pymoo.optimize import minimize

    seen = []
    reached = []
    volume = HV(ref_point=np.array([1.1, 1.1]))

    class Zdt1(Problem):
        def __init__(self):
            super().__init__(n_var=goal["dimensions"], n_obj=2, xl=0, xu=1)

        def _evaluate(self, x, out, *_args, **_kwargs):
            g = 1 + 9 * np.mean(x[:, 1:], axis=1)
            out["F"] = np.column_stack([x[:, 0], g * (1 - np.sqrt(x[:, 0] / g))])
            seen.extend(out["F"])
            if not reached and volume(np.array(seen)) >= goal["target"] * goal["whole"]:
                reached.append(len(seen))

    minimize(Zdt1(), NSGA2(pop_size=40), ("n_eval", goal["evaluations"]), seed=seed)
    return reached[0] if reached else None


def main():
    job = json.load(sys.stdin)
    losses = functions(job["axes"])
    seeds = range(job["seeds"])
    result = {
        goal["name"]: {
            name: [evaluations(SEARCHES[name], losses[goal["name"]], goal, limit, seed) for seed in seeds]
            for name, limit in goal["searches"].items()
            if name in SEARCHES
        }
        for goal in job["goals"]
    }
    result["zdt1"] = {"nsga-ii": [front_evaluations(job["front"], seed) for seed in seeds]}
    print(json.dumps(result))


main()
