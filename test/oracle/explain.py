"""Makes test/fixtures/explain/*.json: Grad-CAM and attention rollout of torchvision's networks.

Written from the papers, by the plainest way: Grad-CAM by a whole backward pass with hooks on the layer, rollout by asking
every attention for its weights. The networks and their weights are those of models.py, in float64.

    pip install torch torchvision numpy
    python test/oracle/explain.py

Versions used: torch 2.13, torchvision 0.28, NumPy 2.4.
"""

import json
from pathlib import Path

import torch

from fill import uniform, weights
from models import BATCH, CLASSES, make

OUT = Path(__file__).parent.parent / "fixtures" / "explain"


def network(name, channels, stem, size):
    model = make(name, CLASSES, channels, stem, size)
    model.load_state_dict({k: torch.from_numpy(weights(k, tuple(v.shape))) for k, v in model.state_dict().items()})
    images = torch.from_numpy(uniform("images", (BATCH, channels, size, size))).double()
    return model.double().eval(), images


def grad_cam(model, layer, images, side):
    """[BATCH, CLASSES, h, w], and the same before its negative part is cut off."""
    kept = {}
    module = model.get_submodule(layer)

    def look(_, __, output):
        kept["features"] = output
        return output.clone()  # DenseNet's ReLU behind it works in place.

    module.register_forward_hook(look)
    maps = []
    for k in range(CLASSES):
        logits = model(images)
        features = kept["features"]
        slope = torch.autograd.grad(logits[:, k].sum(), features)[0]
        if features.ndim == 3:  # The last side² tokens are patches, row by row.
            spread = lambda t: t[:, -side * side :].transpose(1, 2).reshape(len(t), -1, side, side)
            features, slope = spread(features), spread(slope)
        maps.append((slope.mean((2, 3), keepdim=True) * features).sum(1))
    raw = torch.stack(maps, 1).detach()
    return raw.clamp_min(0), raw


def rollout(model, images, tokens):
    """[BATCH, tokens, patches]: products of the rows, from the last block's tokens down to the first block's patches."""
    attentions = []
    for block in model.encoder.layers:
        attention = block.self_attention
        original = attention.forward

        def forward(q, k, v, need_weights=False, original=original, **rest):
            output, a = original(q, k, v, need_weights=True, average_attn_weights=True)
            attentions.append(a.detach())
            return output, None

        attention.forward = forward
    model(images)
    patches = attentions[0].shape[1] - 1
    total = torch.eye(patches + 1).double().expand(BATCH, -1, -1)
    for a in attentions:
        if a.shape[1] != total.shape[1]:  # The class token became the findings' tokens.
            total = torch.cat([total[:, :1].expand(-1, a.shape[1] - patches, -1), total[:, 1:]], 1)
        a = 0.5 * a + 0.5 * torch.eye(a.shape[1]).double()
        a = a / a.sum(-1, keepdim=True)
        total = a @ total
    return total[:, :tokens, -patches:]


CASES = [
    ("resnet18", "layer4", 3, "standard", 96),
    ("resnet10", "layer3", 1, "small", 32),
    ("densenet121", "features", 3, "standard", 64),
    ("vit_ti_16", "encoder.layers.encoder_layer_11.ln_1", 3, "standard", 64),
    ("vit_ti_16", "encoder.layers.encoder_layer_11.ln_1", 1, "small", 16),
    ("lu_vit_ti_16", "encoder.layers.encoder_layer_11.ln_1", 3, "standard", 64),
]

if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    cases = []
    for name, layer, channels, stem, size in CASES:
        model, images = network(name, channels, stem, size)
        side = size // (4 if stem == "small" else 16) if "vit" in name else None
        maps, raw = grad_cam(model, layer, images, side)
        case = dict(model=name, layer=layer, channels=channels, stem=stem, size=size)
        case["shape"] = list(maps.shape)
        case["maps"] = [float(f"{v:.9g}") for v in maps.flatten().tolist()]
        case["positive"] = float((raw > 0).double().mean())
        if "vit" in name:
            tokens = CLASSES if name.startswith("lu_") else 1
            case["rollout"] = [float(f"{v:.9g}") for v in rollout(model, images, tokens).flatten().tolist()]
        print(name, case["shape"], case["positive"])
        cases.append(case)
    (OUT / "maps.json").write_text(json.dumps(cases) + "\n")
