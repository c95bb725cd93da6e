"""Results of operators, computed by PyTorch, for test/torch/oracle.test.ts.

    pip install torch safetensors
    python test/oracle/torch_operators.py      writes test/fixtures/torch/operators.{json,safetensors}

A case is an operator's name, its arguments as JSON with {"tensor": NAME} in the tensors' places (a trailing object holds
keyword arguments, as Penumbra takes them), and the names of its results.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).parent.parent / "fixtures" / "torch"
torch.manual_seed(20)
torch.set_num_threads(1)

inputs = {
    "x": torch.randn(3, 4),
    "y": torch.randn(3, 4),
    "row": torch.randn(4),
    "w": torch.randn(5, 4),
    "b": torch.randn(5),
    "square": torch.randn(4, 4),
    "positive": torch.rand(3, 4) + 0.1,
    "image": torch.randn(2, 3, 6, 5),
    "kernel": torch.randn(4, 3, 3, 3),
    "channel": torch.rand(3) + 0.5,
    "batch": torch.randn(2, 3, 4),
    "batch2": torch.randn(2, 4, 2),
    "whole": torch.tensor([[3, -1, 2], [0, 5, 5]]),
    "rows": torch.tensor([2, 0, 2]),
    "classes": torch.tensor([1, 3, 0]),
    "mask": torch.tensor([[True, False, True, True], [False, False, True, False], [True, True, True, False]]),
    "half": torch.randn(3, 4).bfloat16(),
    "double": torch.randn(3, 4, dtype=torch.float64),
}


def t(name):
    return {"tensor": name}


X, Y, ROW = t("x"), t("y"), t("row")
CASES = [
    ("add", [X, Y]), ("add", [X, ROW, {"alpha": 2}]), ("add", [X, 1.5]), ("sub", [X, Y, {"alpha": 0.5}]), ("mul", [X, ROW]), ("mul", [t("whole"), 3]),
    ("div", [t("whole"), 2]), ("div", [X, Y, {"rounding_mode": "floor"}]), ("remainder", [X, 0.7]), ("pow", [t("positive"), 2.5]), ("pow", [2, X]),
    ("exp", [X]), ("log", [t("positive")]), ("log1p", [t("positive")]), ("sqrt", [t("positive")]), ("rsqrt", [t("positive")]), ("abs", [X]), ("neg", [t("whole")]),
    ("sigmoid", [X]), ("tanh", [X]), ("relu", [X]), ("gelu", [X]), ("gelu", [X, {"approximate": "tanh"}]), ("silu", [X]), ("softplus", [X]), ("leaky_relu", [X, 0.2]),
    ("erf", [X]), ("sin", [X]), ("floor", [X]), ("round", [X]), ("sign", [X]), ("clamp", [X, -0.5, 0.5]), ("clamp", [X, {"max": 0}]),
    ("sum", [X]), ("sum", [X, [1], True]), ("sum", [t("whole"), [0], {"dtype": "float64"}]), ("mean", [X, [0]]), ("var", [X, [1], {"correction": 0}]), ("std", [X, [0, 1], {"correction": 1}]),
    ("amax", [X, [1]]), ("max", [X, 1]), ("min", [X]), ("argmax", [X, 1]), ("topk", [X, 2, 1]), ("sort", [X, 1, True]), ("cumsum", [X, 1]), ("prod", [X, 0]), ("logsumexp", [X, [1]]),
    ("any", [t("mask"), 1]), ("all", [t("mask"), 0]), ("eq", [t("whole"), 5]), ("lt", [X, Y]), ("where", [t("mask"), X, Y]), ("where", [t("mask"), X, 0]), ("masked_select", [X, t("mask")]), ("masked_fill", [X, t("mask"), -1]), ("nonzero", [t("whole")]),
    ("matmul", [X, t("square")]), ("linear", [X, t("w"), t("b")]), ("bmm", [t("batch"), t("batch2")]), ("addmm", [ROW, X, t("square"), {"beta": 0.5, "alpha": 2}]), ("einsum", ["ij,kj->ik", [X, t("w")]]), ("outer", [ROW, t("b")]), ("linalg_norm", [X, {"dim": [1]}]), ("linalg_det", [t("square")]), ("linalg_solve", [t("square"), t("square")]),
    ("transpose", [X, 0, 1]), ("permute", [t("image"), [0, 2, 3, 1]]), ("reshape", [X, [2, -1]]), ("flatten", [t("image"), 1]), ("squeeze", [X]), ("unsqueeze", [X, 1]), ("expand", [ROW, [2, 4]]), ("cat", [[X, Y], 1]), ("stack", [[X, Y]]), ("split", [X, 2, 1]), ("chunk", [X, 3]), ("flip", [X, [1]]), ("roll", [X, [1, 2], [0, 1]]), ("tril", [t("square")]), ("repeat_interleave", [t("rows"), 2]),
    ("index_select", [X, 0, t("rows")]), ("index", [X, [t("rows")]]), ("index", [X, [None, t("rows")]]), ("gather", [X, 1, t("whole_indices")]), ("scatter_add", [X, 0, t("whole_indices"), Y]), ("one_hot", [t("classes"), 5]), ("embedding", [X, t("rows")]), ("bincount", [t("rows")]),
    ("softmax", [X, 1]), ("log_softmax", [X, 1]), ("cross_entropy_loss", [X, t("classes")]), ("cross_entropy_loss", [X, t("classes"), {"label_smoothing": 0.1, "reduction": 0}]), ("mse_loss", [X, Y]), ("binary_cross_entropy_with_logits", [X, t("positive")]), ("kl_div", [X, Y, {"log_target": True}]), ("smooth_l1_loss", [X, Y]),
    ("conv2d", [t("image"), t("kernel"), None, [2, 1], [1, 1]]), ("conv2d", [t("image"), t("kernel"), {"padding": "same"}]), ("max_pool2d", [t("image"), 2]), ("avg_pool2d", [t("image"), [3, 2], [1, 1], 1]), ("adaptive_avg_pool2d", [t("image"), [1, 1]]), ("max_pool2d_with_indices", [t("image"), 3, 2, 1]),
    ("batch_norm", [t("image"), t("channel"), t("channel"), t("channel"), t("channel"), False, 0.1, 1e-5, False]), ("layer_norm", [X, [4], ROW]), ("group_norm", [t("image"), 3]), ("upsample_bilinear2d", [t("image"), [9, 7], False]), ("pad", [t("image"), [1, 2, 0, 1], "reflect"]), ("constant_pad_nd", [X, [1, 0], 7]),
    ("arange", [0, 5, 2]), ("linspace", [0, 1, 5]), ("full", [[2, 2], 3.5]), ("eye", [3]), ("zeros_like", [t("whole")]),
    ("add", [t("half"), X]), ("mul", [t("half"), 2]), ("add", [t("double"), X]), ("to", [X, {"dtype": "float16"}]), ("scaled_dot_product_attention", [t("batch"), t("batch"), t("batch")]),
]
inputs["whole_indices"] = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0], [1, 0, 0, 1]])


def build(value):
    if isinstance(value, dict) and "tensor" in value:
        return inputs[value["tensor"]].clone()
    if isinstance(value, list):
        return [build(item) for item in value]
    return value


tensors = {f"in.{name}": value for name, value in inputs.items()}
cases = []
for index, (name, arguments) in enumerate(CASES):
    positional, keywords = list(arguments), {}
    if positional and isinstance(positional[-1], dict) and "tensor" not in positional[-1]:
        keywords = positional.pop()
    values = [build(value) for value in positional]
    named = {key: getattr(torch, value) if key == "dtype" else build(value) for key, value in keywords.items()}
    packet = getattr(torch.ops.aten, name)
    if name == "to":
        packet = packet.dtype
    found = packet(*values, **named)
    results = list(found) if isinstance(found, (tuple, list)) else [found]
    names = []
    for position, result in enumerate(results):
        names.append(f"out.{index}.{position}")
        tensors[names[-1]] = result.contiguous().clone()
    cases.append({"operator": name, "arguments": arguments, "results": names, "list": isinstance(found, (tuple, list))})

save_file(tensors, FOLDER / "operators.safetensors")
lines = ",\n".join(json.dumps(case) for case in cases)
(FOLDER / "operators.json").write_text(f"[\n{lines}\n]\n")
print(len(cases), "cases of", len({name for name, _ in CASES}), "operators, PyTorch", torch.__version__)
