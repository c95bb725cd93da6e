"""Numbers that need no file: the same array from a name and an index, here and in fill.ts."""

import numpy as np


def fnv1a(name):
    """FNV-1a, 32 bits."""
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def uniform(name, shape, low=-1.0, high=1.0):
    """float32 in [low, high): element i is MurmurHash3's finalizer over (name, i)."""
    count = int(np.prod(shape))
    h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) ^ np.uint32(fnv1a(name))
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    h = h ^ (h >> np.uint32(16))
    values = low + (high - low) * (h.astype(np.float64) / 2**32)
    return values.astype(np.float32).reshape(shape)


def weights(name, shape):
    """
    One parameter or buffer of a network. Well conditioned: with larger batch-norm weights and biases around zero, a
    ResNet-50 on four small images turns float32's rounding into 1e-3 of its gradient, in PyTorch as anywhere.
    """
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if last == "running_var":
        return uniform(name, shape, 0.7, 1.3)
    if last == "running_mean":
        return uniform(name, shape, -0.1, 0.1)
    if last == "weight" and len(shape) == 1:  # of a batch norm
        return uniform(name, shape, 0.2, 0.4)
    if last == "bias" and not name.startswith("fc."):
        return uniform(name, shape, 0.2, 0.8)
    if last == "weight":
        bound = float(np.sqrt(6 / np.prod(shape[1:])))
        return uniform(name, shape, -bound, bound)
    return uniform(name, shape, -0.1, 0.1)


def summary(name, values):
    """What is kept of an array: its length, its projection on a vector that both sides know, and its ends."""
    flat = values.astype(np.float64).reshape(-1)
    direction = uniform(f"direction of {name}", flat.shape).astype(np.float64)
    return {
        "norm": float(np.linalg.norm(flat)),
        "projection": float(flat @ direction / np.linalg.norm(direction)),
        "ends": [float(flat[0]), float(flat[-1])],
    }
