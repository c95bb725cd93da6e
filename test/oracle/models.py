"""Makes test/fixtures/models/*.json: torchvision's networks from weights that both sides compute.

Computed in float64, so that the fixture is what float32 approximates and no machine's own rounding. NAME-state.json has
every tensor of a network with its shape, and what torchvision's initialisation gave the trained ones: mean, standard
deviation and largest magnitude. NAME.json has outputs and gradients.

    pip install torch torchvision numpy
    python test/oracle/models.py [NAME ...]

Versions used: torch 2.13, torchvision 0.28, NumPy 2.4.
"""

import json
import sys
from pathlib import Path

import torch

for op in ("nms", "qnms"):  # a torchvision build without its native operators still has the models
    try:
        torch.library.define(f"torchvision::{op}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:
        pass
import torchvision
from torch.nn import Conv2d, Identity
from torchvision.models import resnet
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from fill import summary, uniform, weights

OUT = Path(__file__).parent.parent / "fixtures" / "models"
CLASSES, BATCH = 7, 4
# Of larger tensors (of VGG's linear layers alone) no gradient is kept; their biases' gradients are.
LARGE = 5_000_000
# Heads and width of the vision transformers; torchvision has the last one only.
TRANSFORMERS = {"vit_ti_16": (3, 192), "vit_s_16": (6, 384), "vit_b_16": (12, 768)}
TRANSFORMERS |= {f"lu_{name}": shape for name, shape in TRANSFORMERS.items()}
HEADS = {
    "resnet": "fc",
    "mobilenet": "classifier.1",
    "vgg": "classifier.6",
    "densenet": "classifier",
    "vit": "heads.head",
    "lu_vit": "heads.head",
}


class FindingTokens(VisionTransformer):
    """Penumbra's LU-ViT: before the last two blocks the class token becomes a token for each output."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        tokens = torch.empty(1, options["num_classes"], self.hidden_dim)
        self.finding_tokens = torch.nn.Parameter(torch.nn.init.normal_(tokens, std=0.02))

    def forward(self, images):
        x = self._process_input(images)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.encoder.pos_embedding
        for i, block in enumerate(self.encoder.layers):
            if i == 10:
                x = torch.cat([x[:, :1] + self.finding_tokens, x[:, 1:]], 1)
            x = block(x)
        tokens = self.encoder.ln(x)[:, : self.finding_tokens.shape[1]]
        # Row k of the layer's weight with token k.
        return torch.diagonal(self.heads.head(tokens), dim1=1, dim2=2)


class HalfResNet(resnet.ResNet):
    """torchvision's, with half the planes in every stage; it has no argument for that."""

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:  # the first stage: its stem stands before it
            self.inplanes = 32
        return super()._make_layer(block, planes // 2, blocks, stride, dilate)

    def __init__(self, block, layers, num_classes):
        super().__init__(block, layers, num_classes=num_classes)
        self.conv1 = Conv2d(3, 32, 7, stride=2, padding=3, bias=False)
        torch.nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1 = torch.nn.BatchNorm2d(32)
        self.fc = torch.nn.Linear(256 * block.expansion, num_classes)


def family(name):
    return next(prefix for prefix in HEADS if name.startswith(prefix))


def make(name, classes=1000, channels=3, stem="standard", size=224):
    """The network, changed as Penumbra's are for other channels and for its small stem."""
    small = stem == "small"
    if name in TRANSFORMERS:
        heads, width = TRANSFORMERS[name]
        patch = 4 if small else 16
        kind = FindingTokens if name.startswith("lu_") else VisionTransformer
        model = kind(size, patch, 12, heads, width, 4 * width, num_classes=classes)
        if channels != 3:
            model.conv_proj = Conv2d(channels, width, patch, stride=patch)
        return model
    if name == "resnet10":  # Penumbra's own
        model = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=classes)
    elif name == "resnet10_half":
        model = HalfResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=classes)
    else:
        model = getattr(torchvision.models, name)(num_classes=classes)
    if not small and channels == 3:
        return model
    if family(name) == "mobilenet":
        model.features[0][0] = Conv2d(channels, 32, 3, stride=1 if small else 2, padding=1, bias=False)
        if small:
            model.features[2].conv[1][0].stride = (1, 1)
    elif family(name) == "vgg":
        model.features[0] = Conv2d(channels, 64, 3, padding=1)
    else:
        kernel = dict(kernel_size=3, padding=1) if small else dict(kernel_size=7, stride=2, padding=3)
        stem_conv = Conv2d(channels, 32 if name == "resnet10_half" else 64, bias=False, **kernel)
        if family(name) == "densenet":
            model.features.conv0 = stem_conv
            model.features.pool0 = Identity() if small else model.features.pool0
        else:
            model.conv1 = stem_conv
            model.maxpool = Identity() if small else model.maxpool
    return model


def case(name, channels, stem, size, training):
    model = make(name, CLASSES, channels, stem, size)
    model.load_state_dict({k: torch.from_numpy(weights(k, tuple(v.shape))) for k, v in model.state_dict().items()})
    model.double().train(training)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    images = torch.from_numpy(uniform("images", (BATCH, channels, size, size))).double()
    labels = torch.tensor([i % CLASSES for i in range(BATCH)])
    features = []
    head = model.get_submodule(HEADS[family(name)])
    head.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0].detach()))
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
        "gradients": {k: summary(k, v.grad.numpy()) for k, v in model.named_parameters() if v.numel() < LARGE},
        "statistics": {
            k: summary(k, v.numpy()) for k, v in model.named_buffers() if training and k.endswith(("_mean", "_var"))
        },
    }


def state(name):
    torch.manual_seed(0)
    model = make(name)
    drawn = {
        k: [float(f"{figure:.6g}") for figure in (v.mean(), v.std(correction=0), v.abs().max())]
        for k, v in model.double().named_parameters()
    }
    return {
        k: {"shape": list(v.shape), **({"drawn": drawn[k]} if k in drawn else {})} for k, v in model.state_dict().items()
    }


def positions():
    """The positions of vit_ti_16 for images of 64 pixels, interpolated for 112."""
    name = "encoder.pos_embedding"
    before = {name: torch.from_numpy(uniform(name, (1, 17, 192))).double()}
    return summary(name, interpolate_embeddings(112, 16, before)[name].numpy())


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(json.dumps(value) + "\n")


BOTH = (True, False)
# Channels, stem, size, training. A transformer without dropout computes the same in training and in evaluation.
CASES = {
    "resnet10": [(c, "standard", 64, t) for c in (3, 1) for t in BOTH] + [(1, "small", 32, True)],
    "resnet10_half": [(3, "standard", 64, True), (1, "small", 32, True), (1, "small", 32, False)],
    "resnet18": [(c, "standard", 64, t) for c in (3, 1) for t in BOTH] + [(1, "small", 32, True)],
    "resnet34": [(3, "standard", 64, t) for t in BOTH],
    "resnet50": [(c, "standard", 64, t) for c in (3, 1) for t in BOTH],
    "resnet101": [(3, "standard", 64, t) for t in BOTH],
    "mobilenet_v2": [(3, "standard", 64, t) for t in BOTH] + [(1, "small", 32, False)],
    "vgg16": [(3, "standard", 32, False)],
    "vgg16_bn": [(3, "standard", 32, True)],
    "vgg19": [(3, "standard", 64, t) for t in BOTH] + [(1, "small", 32, True)],
    "vgg19_bn": [(3, "standard", 64, t) for t in BOTH],
    "densenet121": [(3, "standard", 64, t) for t in BOTH] + [(1, "small", 32, True)],
    "vit_ti_16": [(3, "standard", 64, True), (1, "standard", 48, False), (1, "small", 32, True)],
    "vit_s_16": [(3, "standard", 64, True)],
    "vit_b_16": [(3, "standard", 64, True)],
    "lu_vit_ti_16": [(3, "standard", 64, True), (1, "small", 32, False)],
    "lu_vit_s_16": [(1, "standard", 48, True)],
    "lu_vit_b_16": [(3, "standard", 64, True)],
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        write(f"{name}-state.json", state(name))
        write(f"{name}.json", [case(name, *one) for one in CASES[name]])
    if not sys.argv[1:]:
        write("positions.json", positions())
