"""A safetensors file of every dtype, written by the format's own library.

    pip install torch safetensors
    python test/oracle/torch_safetensors.py          writes test/fixtures/torch/every-dtype.safetensors
    python test/oracle/torch_safetensors.py FILE     reads FILE and compares it with the fixture's contents

The second form shows that the library reads what Penumbra wrote; the tests compare the bytes, which needs no Python.
"""

import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

FIXTURE = Path(__file__).parent.parent / "fixtures" / "torch" / "every-dtype.safetensors"
METADATA = {"écrit par": 'safe"tensors"\n'}


def tensors():
    whole = torch.arange(6).reshape(2, 3)
    made = {
        f"whole.{name}": whole.to(getattr(torch, name))
        for name in ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
    }
    parts = torch.tensor([[0.0, -0.5, 1.75], [-448.0, 0.0078125, 96.0]])
    for name in ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"]:
        made[f"parts.{name}"] = parts.to(getattr(torch, name))
    made["complex64"] = torch.complex(parts, -parts)
    made["bool"] = torch.tensor([True, False, True])
    made["scalar"] = torch.tensor(7.0)
    made["empty"] = torch.zeros(3, 0, 2)
    made["名前 \"quoted\""] = torch.tensor([2**62, -1])
    return made


if len(sys.argv) > 1:
    found = load_file(sys.argv[1])
    expected = tensors()
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape, name
        assert found[name].contiguous().view(torch.uint8).equal(value.contiguous().view(torch.uint8)) if value.dim() else found[name].equal(value), name
    with safe_open(sys.argv[1], "pt") as file:
        assert file.metadata() == METADATA, file.metadata()
    print("equal")
else:
    save_file(tensors(), FIXTURE, METADATA)
    print(FIXTURE.name, FIXTURE.stat().st_size, "bytes")
