"""Makes test/fixtures/nn/layers.json: outputs and gradients of PyTorch's layers on numbers of fill.py.

    pip install torch numpy
    python test/oracle/nn.py

Versions used: torch 2.13, NumPy 2.4. Computed in float64.
"""

import json
from pathlib import Path

import torch
from torch import nn

from fill import summary, uniform, weights

OUT = Path(__file__).parent.parent / "fixtures" / "nn"
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)


def filled(layer):
    layer = layer.double()
    layer.load_state_dict({k: torch.from_numpy(weights(k, tuple(v.shape))) for k, v in layer.state_dict().items()})
    return layer


def record(layer, x, forward=None):
    """The output, and the gradients of its product with a known direction."""
    x = x.requires_grad_() if x.is_floating_point() else x
    y = layer(x) if forward is None else forward(layer, x)
    upstream = torch.from_numpy(uniform("upstream", tuple(y.shape))).double()
    (y * upstream).sum().backward()
    gradients = {k: summary(k, p.grad.numpy()) for k, p in layer.named_parameters()}
    if x.is_floating_point():
        gradients["input"] = summary("input", x.grad.numpy())
    return {"shape": list(y.shape), "output": summary("output", y.detach().numpy()), "gradients": gradients}


def images(shape=(2, 6, 7, 7)):
    return torch.from_numpy(uniform("images", shape)).double()


def tokens():
    return torch.from_numpy(uniform("tokens", (3, 5, 8))).double()


def encoder(norm_first):
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True, norm_first=norm_first)
    norm = nn.LayerNorm(8) if norm_first else None
    return filled(nn.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False))


def masked(layer, x):
    """What stands at masked positions means nothing: left out of the output."""
    return layer(x, src_key_padding_mask=~MASK)[MASK]


OUT.mkdir(parents=True, exist_ok=True)
cases = {
    "max pool": record(nn.MaxPool2d(3, 2, 1), images()),
    "max pool, default stride": record(nn.MaxPool2d(2), images()),
    "average pool": record(nn.AvgPool2d(3, 2, 1), images()),
    "adaptive average pool": record(nn.AdaptiveAvgPool2d(3), images()),
    "group norm": record(filled(nn.GroupNorm(3, 6)), images()),
    "embedding": record(filled(nn.Embedding(7, 4, padding_idx=2)), torch.tensor([[0, 2, 6], [2, 5, 5]])),
    "encoder, norm first": record(encoder(True), tokens(), masked),
    "encoder, norm last": record(encoder(False), tokens(), masked),
    "encoder, no mask": record(encoder(True), tokens()),
}
(OUT / "layers.json").write_text(json.dumps(cases, indent=1) + "\n")
