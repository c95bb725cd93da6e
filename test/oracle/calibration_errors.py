"""Makes test/fixtures/metrics/calibration-errors.json: debiased ECE, SmoothECE, AUGRC and normalised logits by other hands.

    pip install numpy scipy scikit-learn relplot
    python test/oracle/calibration_errors.py

Versions used: NumPy 2.4, SciPy 1.17, scikit-learn 1.9, relplot 1.0.3 (the SmoothECE authors' package).
"""

import json
from pathlib import Path

import numpy as np
import relplot
from scipy.stats import foldnorm
from sklearn.metrics import roc_auc_score

OUT = Path(__file__).parent.parent / "fixtures" / "metrics" / "calibration-errors.json"
rng = np.random.default_rng(8)


def debiased(c, y, norm_, bins=15):
    """Loops over bins as Kumar et al. define; the folded normal mean from SciPy."""
    edges = np.arange(bins + 1) / bins
    total = 0.0
    for b in range(bins):
        inside = (c > edges[b]) & (c <= edges[b + 1])
        if b == 0:
            inside |= c == 0
        n = inside.sum()
        if n == 0:
            continue
        gap, freq, weight = c[inside].mean() - y[inside].mean(), y[inside].mean(), n / len(c)
        var = freq * (1 - freq) / (n - 1) if n > 1 else 0.25
        if norm_ == "l2":
            total += weight * (gap**2 - var)
        else:
            mean = foldnorm.mean(abs(gap) / np.sqrt(var), scale=np.sqrt(var)) if var > 0 else abs(gap)
            total += weight * (2 * abs(gap) - mean)
    return float(np.sqrt(max(0, total)) if norm_ == "l2" else max(0, total))


def smooth(c, y, tolerance=1e-5):
    """The definition: reflections one by one, the integral by the trapezoid rule, the fixed point by bisection."""
    residual = y - c
    t = np.linspace(0, 1, 1001)[:, None]

    def at(sigma):
        mirrors = [s * c + 2 * m for m in range(-int(4 * sigma) - 1, int(4 * sigma) + 2) for s in (1, -1)]
        kernel = sum(np.exp(-(((t - f) / sigma) ** 2) / 2) for f in mirrors) / (sigma * np.sqrt(2 * np.pi))
        return float(np.trapezoid(np.abs(kernel @ residual / len(c)), t[:, 0]))

    low, high = 0.001, 1.0
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (low, middle) if at(middle) < middle else (middle, high)
    return low


def augrc(c, correct):
    acc = correct.mean()
    if acc in (0, 1):
        return float((1 - acc) ** 2 / 2)
    return float((1 - roc_auc_score(correct, c)) * acc * (1 - acc) + (1 - acc) ** 2 / 2)


def case(name, c, y, smooth_by_definition=True):
    c, y = c.astype(np.float64), y.astype(np.float64)
    relplot_value, width = relplot.smECE(c, y, return_width=True)
    return {
        "name": name,
        "confidence": [float(v) for v in c],
        "outcome": [int(v) for v in y],
        "debiasedL1": debiased(c, y, "l1"),
        "debiasedL2": debiased(c, y, "l2"),
        "smooth": smooth(c, y) if smooth_by_definition else None,
        "relplot": float(relplot_value),
        "augrc": augrc(c, y),
    }


def draw(n, low, high, shift, digits=6):
    c = np.round(rng.uniform(low, high, n), digits)
    return c, (rng.uniform(size=n) < np.clip(c - shift, 0, 1)).astype(int)


z = rng.normal(0, 3, (40, 5))
z[7] = 2.5


def normalised(z, p):
    centred = z - z.mean(1, keepdims=True)
    length = np.linalg.norm(centred, p, axis=1)
    return np.where(length > 0, centred.max(1) / np.where(length > 0, length, 1), 0)


clumps = np.array([0.55, 0.8, 0.95])[rng.integers(0, 3, 200)]
result = {
    "cases": [
        case("calibrated", *draw(300, 0, 1, 0)),
        case("over-confident", *draw(200, 0.5, 1, 0.2)),
        case("under-confident, narrow", *draw(200, 0.52, 0.68, -0.25)),
        case("ties", clumps, (rng.uniform(size=200) < clumps - 0.1).astype(int)),
        case("few", *draw(12, 0, 1, 0.1, 2)),
        case("all right", np.round(rng.uniform(0.9, 1, 50), 4), np.ones(50, int)),
    ],
    "logits": {
        "classes": 5,
        "values": [float(v) for v in z.ravel()],
        "norms": {str(p): [float(v) for v in normalised(z, p)] for p in (1, 2, 5)},
        "max": [float(v) for v in normalised(z, np.inf)],
    },
}
OUT.write_text(json.dumps(result) + "\n")
for c in result["cases"]:
    print({k: v for k, v in c.items() if k not in ("confidence", "outcome")})
