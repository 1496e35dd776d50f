"""Parameters of a recipe: filters, gradients, and which of several applies."""

SWITCHES = {
    "normalize", "rescale", "int8_mask", "filter_wise", "nuslerp_flatten", "nuslerp_row_wise", "normalize_weights",
}
DEFAULTS = {
    "density": 1.0, "lambda": 1.0, "int8_mask": False, "scale": None, "gamma": 0.01, "filter_wise": False,
    "nuslerp_flatten": True, "nuslerp_row_wise": False, "normalize_weights": True, "select_topk": 1.0, "r": 0.1,
    "alpha": 0.2, "max_iter": 10, "tol": 1e-5,
}
METHOD_DEFAULTS = {
    "linear": {"normalize": True},
    "task_arithmetic": {"normalize": False, "rescale": False},
    "ties": {"normalize": True, "rescale": False},
    "dare_linear": {"normalize": False, "rescale": True},
    "dare_ties": {"normalize": False, "rescale": True},
    "breadcrumbs": {"normalize": False, "rescale": False},
    "breadcrumbs_ties": {"normalize": False, "rescale": False},
    "della": {"normalize": True, "rescale": True},
    "della_linear": {"normalize": False, "rescale": True},
    "multislerp": {"eps": 1e-8},
    "ram": {"epsilon": 1e-5},
    "ramplus_tl": {"epsilon": 1e-5},
}


def default(method, name):
    return {**DEFAULTS, **METHOD_DEFAULTS.get(method, {})}.get(name)


def scalar(parameter, value):
    if parameter in SWITCHES:
        return {"true": True, "false": False, "yes": True, "no": False}[value] if isinstance(value, str) else value
    return float(value)


def evaluate(setting, tensor, depth, parameter="weight"):
    """One value of a setting for a tensor; None where no filter matches."""
    if isinstance(setting, dict):
        setting = [setting]
    if not isinstance(setting, list):
        return scalar(parameter, setting)
    if not isinstance(setting[0], dict):
        values = [scalar(parameter, v) for v in setting]
        place = depth * (len(values) - 1)
        low = int(place)
        if parameter in SWITCHES:
            return values[low]
        high = min(low + 1, len(values) - 1)
        return values[low] + (values[high] - values[low]) * (place - low)
    for entry in setting:
        if entry.get("filter") in (None, "*") or entry["filter"] in tensor:
            return evaluate(entry["value"], tensor, depth, parameter)
    return None


def first_value(scopes, method, parameter, tensor, depth):
    """The value in the first scope that has one for this tensor."""
    for scope in scopes:
        if scope and parameter in scope:
            value = evaluate(scope[parameter], tensor, depth, parameter)
            if value is not None:
                return value
    return default(method, parameter)
