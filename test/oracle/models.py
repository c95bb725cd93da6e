"""Makes test/fixtures/models/*.json: torchvision's ResNets from weights that both sides compute.

Computed in float64, so that the fixture is what float32 approximates and no machine's own rounding.

    pip install torch torchvision numpy
    python test/oracle/models.py

Versions used: torch 2.13, torchvision 0.28, NumPy 2.4.
"""

import json
from pathlib import Path

import torch

for op in ("nms", "qnms"):  # a torchvision build without its native operators still has the models
    try:
        torch.library.define(f"torchvision::{op}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:
        pass
import torchvision
from torchvision.models import resnet

from fill import summary, uniform, weights

OUT = Path(__file__).parent.parent / "fixtures" / "models"
CLASSES, BATCH = 7, 4


def make(name, classes=1000):
    if name == "resnet10":  # Penumbra's own
        return resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=classes)
    return getattr(torchvision.models, name)(num_classes=classes)


def network(name, channels, stem):
    model = make(name, CLASSES)
    if stem == "small":
        model.conv1 = torch.nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        model.maxpool = torch.nn.Identity()
    elif channels != 3:
        model.conv1 = torch.nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    model.load_state_dict({k: torch.from_numpy(weights(k, tuple(v.shape))) for k, v in model.state_dict().items()})
    return model.double()


def case(name, channels, stem, size, training):
    model = network(name, channels, stem).train(training)
    images = torch.from_numpy(uniform("images", (BATCH, channels, size, size))).double()
    labels = torch.tensor([i % CLASSES for i in range(BATCH)])
    features = []
    model.fc.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0].detach()))
    logits = model(images)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    return {
        "model": name,
        "channels": channels,
        "stem": stem,
        "size": size,
        "training": training,
        "logits": logits.detach().flatten().tolist(),
        "features": summary("features", features[0].numpy()),
        "loss": loss.item(),
        "gradients": {k: summary(k, v.grad.numpy()) for k, v in model.named_parameters()},
        "statistics": {
            k: summary(k, v.numpy()) for k, v in model.named_buffers() if training and k.endswith(("_mean", "_var"))
        },
    }


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(json.dumps(value) + "\n")


torch.set_num_threads(1)
for name in ("resnet10", "resnet18", "resnet50"):
    state = make(name).state_dict()
    write(f"{name}-state.json", {k: list(v.shape) for k, v in state.items()})
    cases = [case(name, channels, "standard", 64, training) for channels in (3, 1) for training in (True, False)]
    if name in ("resnet10", "resnet18"):
        cases.append(case(name, 1, "small", 32, True))
    write(f"{name}.json", cases)
