"""The merge methods in float64, from their formulas.

Each takes tensors of one shape and gives one. `where` names the tensor in complaints: a golden that hangs on a rounding
error, such as a threshold between two equal magnitudes, is a coin toss and not a golden.
"""

import numpy as np

branches = set()


def linear(tensors, weights, normalize):
    total = sum(w * t for w, t in zip(weights, tensors))
    return total / sum(weights) if normalize else total


def slerp(t, v0, v1, where):
    unit0, unit1 = v0 / np.linalg.norm(v0), v1 / np.linalg.norm(v1)
    cos = float((unit0 * unit1).sum())
    if abs(abs(cos) - 0.9995) < 1e-6:
        raise AssertionError(f"{where}: |cos| {cos} is too near the branch")
    branches.add("line" if abs(cos) > 0.9995 else "arc")
    if abs(cos) > 0.9995:
        return (1 - t) * v0 + t * v1
    theta = np.arccos(cos)
    return np.sin((1 - t) * theta) / np.sin(theta) * v0 + np.sin(t * theta) / np.sin(theta) * v1


def nuslerp(weights, v0, v1, base, flatten, columns):
    """Along arcs between whole tensors, their rows (the last axis), or their columns (the first)."""
    total = sum(weights)
    t = 0.5 if abs(total) < 1e-6 else weights[1] / total
    origin = 0 if base is None else base
    v0, v1 = v0 - origin, v1 - origin
    axis = None if flatten else 0 if columns else -1
    length = lambda v: np.sqrt((v * v).sum(axis=axis, keepdims=True))
    cos = (v0 / length(v0) * (v1 / length(v1))).sum(axis=axis, keepdims=True).clip(-1, 1)
    theta = np.arccos(cos)
    arc = (np.sin((1 - t) * theta) * v0 + np.sin(t * theta) * v1) / np.sin(theta)
    return origin + arc


def multislerp(tensors, weights, base, normalize, eps):
    if len(tensors) == 1:
        return tensors[0]
    origin = 0 if base is None else base
    vectors = np.stack([(t - origin).ravel() for t in tensors])
    weights = np.array(weights) / (sum(weights) if normalize else 1)
    lengths = np.linalg.norm(vectors, axis=1)
    units = vectors / (lengths[:, None] + eps)
    mean = weights @ units
    mean /= np.linalg.norm(mean)
    tangent = weights @ (units - np.outer(units @ mean, mean))
    angle = np.linalg.norm(tangent) + eps
    result = (mean * np.cos(angle) + tangent * np.sin(angle) / angle) * (lengths @ weights)
    return origin + result.reshape(tensors[0].shape)


def karcher(tensors, max_iter, tol, where):
    vectors = [t.ravel() for t in tensors]
    lengths = [np.linalg.norm(v) for v in vectors]
    units = [v / n for v, n in zip(vectors, lengths)]
    mean = sum(units) / len(units)
    mean /= np.linalg.norm(mean)
    for _ in range(max_iter):
        tangent = 0
        for unit in units:
            cos = float(np.clip(mean @ unit, -1, 1))
            theta = np.arccos(cos)
            if theta >= tol:
                tangent = tangent + theta / np.sin(theta) * (unit - cos * mean) / len(units)
        step = np.linalg.norm(tangent)
        if abs(step / tol - 1) < 1e-3:
            raise AssertionError(f"{where}: a step of {step} is too near the tolerance")
        if step < tol:
            break
        mean = np.cos(step) * mean + np.sin(step) * tangent / step
        mean /= np.linalg.norm(mean)
    return (np.mean(lengths) * mean).reshape(tensors[0].shape)


def model_stock(base, others, filter_wise):
    rows = (lambda t: np.atleast_2d(t)) if filter_wise else (lambda t: t.reshape(1, -1))
    origin, tuned = rows(base), [rows(t) for t in others]
    deltas = [t - origin for t in tuned]
    cosines = []
    for i, a in enumerate(deltas):
        for b in deltas[i + 1 :]:
            lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
            cosines.append(((a * b).sum(axis=-1) / np.maximum(lengths, 1e-6)).clip(-1, 1))
    cos, n = np.mean(cosines, axis=0)[:, None], len(tuned)
    ratio = n * cos / (1 + (n - 1) * cos)
    return (ratio * sum(tuned) / n + (1 - ratio) * origin).reshape(base.shape)


def nearswap(t, base, other):
    share = np.clip(t / np.maximum(np.abs(base - other), 1e-6), 0, 1)
    return share * other + (1 - share) * base


def arcee_fusion(base, other, where):
    def softmax(v):
        powers = np.exp(v - v.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True) + 1e-8

    p, q = softmax(other), softmax(base)
    divergence = (p * np.log(p / q)).sum(axis=-1, keepdims=True)
    importance = np.abs(other - base) * divergence
    ordered = np.sort(importance.ravel())
    quartile = lambda share: ordered[int(share * (ordered.size - 1))]
    threshold = quartile(0.5) + 1.5 * (quartile(0.75) - quartile(0.25))
    # A divergence is a small sum of larger terms that cancel: float32 has it to about 2e-7, whatever its size.
    margin = (np.abs(importance / threshold - 1) * divergence).min()
    if margin < 20 * 2e-7:
        raise AssertionError(f"{where}: rounding could carry an importance over the threshold")
    return base + (other - base) * (importance >= threshold)


def sce(base, others, topk, where):
    deltas = np.stack([t - base for t in others])
    if topk < 1:
        spread = deltas.var(axis=0)
        keep = int(np.float32(np.count_nonzero(spread)) * np.float32(topk)) if topk > 0 else 0
        ordered = np.sort(spread.ravel())[::-1]
        if 0 < keep < ordered.size and ordered[keep - 1] - ordered[keep] <= 1e-6 * ordered[keep]:
            raise AssertionError(f"{where}: equal variances at the threshold")
        deltas = deltas * (spread >= ordered[keep - 1] if keep else 0)
    elected = np.where(closeness_checked(deltas, where) >= 0, 1, -1)
    agree = np.sign(deltas) == elected
    squares = (deltas**2).reshape(len(others), -1).mean(axis=1)
    total = squares.sum()
    if abs(total - 1e-6) < 1e-9:
        raise AssertionError(f"{where}: {total} is too near the floor")
    branches.add("uniform" if total < 1e-6 else "weighted")
    weights = np.full(len(others), 1 / len(others)) if total < 1e-6 else squares / total
    weights = weights.reshape(-1, *[1] * base.ndim) * agree
    return base + (deltas * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-6)


def ram(base, others, epsilon, where, gain=0.0, limit=0.0):
    """RAM; with a gain and a limit RAM+, tensor by tensor."""
    deltas = np.stack([t - base for t in others])
    if (np.abs(np.abs(deltas) / epsilon - 1) < 1e-6).any():
        raise AssertionError(f"{where}: a delta is too near epsilon")
    changed = np.abs(deltas) > epsilon
    count = changed.sum(axis=0)
    unique, shared = count == 1, count > 1
    total = 0
    for delta, moved in zip(deltas, changed):
        ratio = (moved & shared).sum() / max((moved & unique).sum(), epsilon)
        total = total + delta * moved * (unique * (1 + gain * np.clip(ratio, 0, limit)) + shared / np.maximum(count, 1))
    return base + total


# --- generalised task arithmetic -------------------------------------------


def largest(delta, density, where):
    """The mask of magnitude trimming: at least one element, of a density above 0."""
    if density >= 1:
        return np.ones_like(delta)
    if density <= 0:
        return np.zeros_like(delta)
    magnitude = np.sort(np.abs(delta).astype(np.float32).ravel())[::-1]
    keep = max(1, int(density * delta.size))
    if keep < delta.size and magnitude[keep - 1] == magnitude[keep] > 0:
        raise AssertionError(f"{where}: equal magnitudes at the threshold")
    return np.abs(delta).astype(np.float32) >= magnitude[keep - 1]


def breadcrumbs(delta, density, gamma, where):
    """The mask without the largest share gamma, and without as many of the smallest as density says."""
    if density >= 1:
        return np.ones_like(delta)
    magnitude = np.abs(delta).astype(np.float32).ravel()
    order = np.argsort(magnitude)
    keep = int(density * delta.size)
    lowest = max(0, delta.size - keep - int(gamma * delta.size))
    if np.unique(magnitude).size < magnitude.size:
        raise AssertionError(f"{where}: equal magnitudes")
    mask = np.zeros(delta.size)
    mask[order[lowest : lowest + keep]] = 1
    return mask.reshape(delta.shape)


def rescaled(delta, mask):
    before, after = np.abs(delta).sum(), np.abs(delta * mask).sum()
    return delta * mask * (before / after if before >= 1e-7 and after >= 1e-7 else 1)


def closeness_checked(weighted, where):
    """The sum over models, whose sign is elected."""
    total = np.sum(weighted, axis=0)
    closeness = np.abs(total) / np.maximum(np.max(np.abs(weighted), axis=0), 1e-30)
    if ((closeness > 0) & (closeness < 1e-6)).any():
        raise AssertionError(f"{where}: an election that rounding could turn")
    return total


def combine(deltas, weights, elects, normalize, scale, where):
    weighted = [w * d for w, d in zip(weights, deltas)]
    total, divisor = sum(weighted), sum(weights)
    if elects:
        elected = np.where(closeness_checked(weighted, where) >= 0, 1, -1)
        agree = [np.sign(d) == elected for d in weighted]
        total = sum(d * m for d, m in zip(weighted, agree))
        divisor = sum(w * m for w, m in zip(weights, agree))
        divisor = np.where(divisor == 0, 1, divisor)
    elif abs(divisor) < 1e-8:
        divisor = 1
    return (total / divisor if normalize else total) * scale
