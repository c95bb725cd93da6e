"""Makes test/fixtures/optim/*.json: 20 steps of PyTorch's optimizers on a small network, and its schedulers.

    pip install torch numpy
    python test/oracle/optim.py

Versions used: torch 2.13, NumPy 2.4. Computed in float64: what float32 approximates.
"""

import json
from pathlib import Path

import torch
from torch.optim import lr_scheduler

from fill import summary, uniform, weights

OUT = Path(__file__).parent.parent / "fixtures" / "optim"
STEPS, BATCH, CLASSES = 20, 8, 3


class Network(torch.nn.Module):
    """Every kind of parameter. No bias before the batch norm: its gradient is zero, and AdamW would enlarge the noise."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(6)
        self.conv2 = torch.nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.fc = torch.nn.Linear(8, CLASSES)

    def forward(self, x):
        x = torch.tanh(self.bn1(self.conv1(x)))
        return self.fc(torch.tanh(self.conv2(x)).mean((2, 3)))


def trajectory(make, groups=False):
    net = Network().double()
    net.load_state_dict({k: torch.from_numpy(weights(k, tuple(v.shape))) for k, v in net.state_dict().items()})
    parameters = list(net.parameters())
    if groups:  # no decay for biases and batch norms
        parameters = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
    optimizer = make(parameters)
    rate = optimizer.param_groups[0]["lr"]
    losses = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / (2 * STEPS))
        images = torch.from_numpy(uniform(f"batch {step}", (BATCH, 2, 10, 10))).double()
        labels = torch.tensor([(step + i) % CLASSES for i in range(BATCH)])
        loss = torch.nn.functional.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {
        "losses": losses,
        "parameters": {k: summary(k, v.detach().numpy()) for k, v in net.named_parameters()},
    }


def rates(make, epochs):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    scheduler = make(optimizer)
    values = []
    for _ in range(epochs):
        values.append(optimizer.param_groups[0]["lr"] / 0.3)
        optimizer.step()
        scheduler.step()
    return values


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(json.dumps(value, indent=1) + "\n")


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2, as it is written there: PyTorch has none."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = b1 * m + (1 - b1) * p.grad
                p -= group["lr"] * (torch.sign(c) + group["weight_decay"] * p)
                m.copy_(b2 * m + (1 - b2) * p.grad)


SGD, AdamW, Adam, RMSprop = torch.optim.SGD, torch.optim.AdamW, torch.optim.Adam, torch.optim.RMSprop
write("trajectories.json", {
    "sgd": trajectory(lambda p: SGD(p, lr=0.1)),
    "sgd, weight decay": trajectory(lambda p: SGD(p, lr=0.1, weight_decay=0.05)),
    "sgd, momentum": trajectory(lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=5e-4)),
    "sgd, nesterov": trajectory(lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)),
    "sgd, groups": trajectory(lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True), groups=True),
    "adamw": trajectory(lambda p: AdamW(p, lr=0.01)),
    "adamw, betas": trajectory(lambda p: AdamW(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.2)),
    "adamw, groups": trajectory(lambda p: AdamW(p, lr=0.01, weight_decay=0.2), groups=True),
    "adam": trajectory(lambda p: Adam(p, lr=0.01)),
    "adam, weight decay": trajectory(lambda p: Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.2)),
    "rmsprop": trajectory(lambda p: RMSprop(p, lr=0.01)),
    "rmsprop, momentum": trajectory(lambda p: RMSprop(p, lr=0.003, alpha=0.9, eps=1e-6, momentum=0.9, weight_decay=0.1)),
    "rmsprop, groups": trajectory(lambda p: RMSprop(p, lr=0.01, weight_decay=0.1), groups=True),
    "lion": trajectory(lambda p: Lion(p, lr=0.003)),
    "lion, weight decay": trajectory(lambda p: Lion(p, lr=0.003, betas=(0.8, 0.95), weight_decay=0.5)),
})
write("schedules.json", {
    "multi-step": rates(lambda o: lr_scheduler.MultiStepLR(o, [3, 7, 8], gamma=0.2), 12),
    "cosine": rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 10), 11),
    "cosine, minimum": rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 10, eta_min=0.3 * 0.05), 11),
    "warm-up": rates(lambda o: lr_scheduler.LinearLR(o, 0.01, 1.0, 4), 8),
    "warm-up, multi-step": rates(
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.LinearLR(o, 0.1, 1.0, 3), lr_scheduler.MultiStepLR(o, [2, 6])]
        ),
        8,
    ),
})
