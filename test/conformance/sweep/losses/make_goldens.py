"""Losses of answers and their gradients by torch's own functions and autograd, in float64.

Run as `python make_goldens.py > goldens.json`. Made with torch 2.15.
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(7)
rows, width = 6, 4
# Rounded to what float32 holds: answers travel as that.
logits = (torch.randn(rows, width) * 3).float().double()
teacher = (torch.randn(rows, width) * 3).float().double()
classes = torch.randint(0, width, (rows,))


def info_nce(z):
    first, second = F.normalize(z[: rows // 2], dim=1), F.normalize(z[rows // 2 :], dim=1)
    return F.cross_entropy(first @ second.T / 0.05, torch.arange(rows // 2))


def distillation(temperature):
    def loss(z):
        q, log_p = F.softmax(teacher / temperature, 1), F.log_softmax(z / temperature, 1)
        return temperature**2 * F.kl_div(log_p, q, reduction="batchmean")

    return loss


losses = {
    "entropy": lambda z: torch.distributions.Categorical(logits=z).entropy().mean(),
    "cross_entropy": lambda z: F.cross_entropy(z, classes),
    "distillation": distillation(1),
    "distillation at temperature 2": distillation(2),
    "squared_error": lambda z: F.mse_loss(z, teacher),
    "info_nce": info_nce,
}


def golden(loss):
    z = logits.clone().requires_grad_()
    value = loss(z)
    value.backward()
    return {"value": value.item(), "gradient": z.grad.flatten().tolist()}


print(
    json.dumps(
        {
            "width": width,
            "values": logits.flatten().tolist(),
            "teacher": teacher.flatten().tolist(),
            "classes": classes.tolist(),
            "losses": {name: golden(loss) for name, loss in losses.items()},
        },
        indent=1,
    )
)
