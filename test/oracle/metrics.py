"""Makes test/fixtures/metrics/*.json: what torchmetrics, scikit-learn, SciPy, statsmodels and plain NumPy say.

    pip install torch torchmetrics numpy scipy scikit-learn statsmodels
    python test/oracle/metrics.py

Versions used: torch 2.13, torchmetrics 1.9.0, NumPy 2.4, SciPy 1.17, scikit-learn 1.9, statsmodels 0.15.
Probabilities are written as the exact value of each float32 number.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from scipy.stats import entropy
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, log_loss, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_accuracy,
    multiclass_calibration_error,
)

OUT = Path(__file__).parent.parent / "fixtures" / "metrics"
BINS = (1, 10, 15)


def right_closed(confidence, outcome, edges):
    """Guo et al. 2017: (lo, hi], and 0 in the first bin. One loop a bin, as the definition reads."""
    n, error, worst, counts = len(confidence), 0.0, 0.0, []
    for b in range(len(edges) - 1):
        inside = (confidence > edges[b]) & (confidence <= edges[b + 1])
        if b == 0:
            inside |= confidence == 0
        counts.append(int(inside.sum()))
        if inside.any():
            gap = abs(confidence[inside].astype(np.float64).mean() - outcome[inside].astype(np.float64).mean())
            error += inside.sum() / n * gap
            worst = max(worst, gap)
    return {"ece": float(error), "mce": float(worst), "counts": counts}


def edges32(bins):
    return (np.arange(bins + 1, dtype=np.float64) / bins).astype(np.float32)


def equal_mass(confidence, correct, bins):
    """Sorted and split into equal parts; only for cases without ties whose size the number of bins divides."""
    order = np.argsort(confidence, kind="stable")
    parts = np.split(order, bins)
    c = confidence.astype(np.float64)
    return float(sum(len(p) / len(order) * abs(c[p].mean() - correct[p].mean()) for p in parts))


def describe(name, p, y, q=None):
    p = p.astype(np.float32)
    n, k = p.shape
    tp, ty = torch.from_numpy(p), torch.from_numpy(y)
    predicted = p.argmax(1)
    confidence, correct = p.max(1), (predicted == y).astype(np.float64)
    sorted_rows = np.sort(p, axis=1)
    row_ties = bool((np.diff(sorted_rows, axis=1) == 0).any())
    result = {
        "top1": float(correct.mean()),
        "balancedAccuracy": float(balanced_accuracy_score(y, predicted)),
        "confusion": confusion_matrix(y, predicted, labels=range(k)).ravel().tolist(),
        "auroc": [
            float(roc_auc_score(y == c, p[:, c])) if 0 < (y == c).sum() < n else None for c in range(k)
        ],
        "brier": float(((p.astype(np.float64) - np.eye(k)[y]) ** 2).sum(1).mean()),
        "nll": float(-np.log(np.maximum(p[np.arange(n), y].astype(np.float64), 2.0**-126)).mean()),
        "confidenceGap": float(confidence.astype(np.float64).mean() - correct.mean()),
        "calibration": [
            {
                "bins": b,
                "torchmetrics": {
                    norm: float(multiclass_calibration_error(tp, ty, k, n_bins=b, norm=norm))
                    for norm in ("l1", "l2", "max")
                },
                "rightClosed": right_closed(confidence, correct, edges32(b)),
                "classwiseTorchmetrics": [
                    float(binary_calibration_error(tp[:, c].contiguous(), (ty == c).int(), n_bins=b)) for c in range(k)
                ],
                "classwiseRightClosed": [
                    right_closed(p[:, c], (y == c).astype(np.float64), edges32(b))["ece"] for c in range(k)
                ],
            }
            for b in BINS
        ],
    }
    if not row_ties:
        # torch.topk leaves the order of ties open.
        result["topK"] = [
            float(multiclass_accuracy(tp, ty, k, average="micro", top_k=j)) for j in range(1, min(k, 5) + 1)
        ]
        # An independent second opinion on the NLL, where no clamp is reached.
        assert abs(result["nll"] - log_loss(y, p.astype(np.float64), labels=range(k))) < 1e-5
    if len(np.unique(confidence)) == n and n % 10 == 0:
        result["eceEqualMass10"] = equal_mass(confidence, correct, 10)
    if q is not None:
        p64 = p.astype(np.float64)
        result["truth"] = {
            "totalVariation": float(np.abs(p64 - q).sum(1).mean() / 2),
            # scipy normalises both; rows of p sum to 1 within fp32.
            "kl": float(entropy(q, p64, axis=1).mean()),
            "squaredError": float(((p64 - q) ** 2).sum(1).mean()),
            "ece": right_closed(confidence, q[np.arange(n), predicted], edges32(15))["ece"],
        }
    flat = [float(v) for v in p.ravel()]
    return {
        "name": name,
        "classes": k,
        "labels": y.tolist(),
        "probabilities": flat,
        **({} if q is None else {"posterior": [float(v) for v in q.ravel()]}),
        "expected": result,
    }


def draw(rng, n, k, sharpness, absent=()):
    q = rng.dirichlet(np.full(k, 0.5), n)
    logits = np.log(q + 1e-9) * sharpness + rng.normal(0, 0.3, (n, k))
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    labels = np.array([rng.choice(k, p=row) for row in q])
    for a in absent:
        labels[labels == a] = (a + 1) % k
    return p, labels.astype(np.int64), q


def main():
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(20260)
    cases = []
    for k in (2, 3, 10):
        p, y, q = draw(rng, 60, k, 1.6)
        cases.append(describe(f"{k} classes, over-confident", p, y, q))
        p, y, q = draw(rng, 60, k, 0.5)
        cases.append(describe(f"{k} classes, under-confident", p, y, q))
        # Quarters: ties within rows and columns, exact zeros and ones.
        p = rng.multinomial(4, np.full(k, 1 / k), 60) / 4
        y = rng.integers(0, k, 60)
        cases.append(describe(f"{k} classes, ties", p, y))
        # Confidences exactly on fp32 edges of 10 and 15 bins, 1 among them; the rest goes to one other class.
        edges = np.concatenate([edges32(10), edges32(15)])
        edges = np.tile(edges[edges >= 0.5], 4)
        p = np.zeros((len(edges), k), np.float32)
        first = rng.integers(0, k, len(edges))
        p[np.arange(len(edges)), first] = edges
        p[np.arange(len(edges)), (first + 1) % k] = np.float32(1) - edges
        y = np.where(rng.random(len(edges)) < 0.7, first, rng.integers(0, k, len(edges)))
        cases.append(describe(f"{k} classes, confidences on the edges", p, y))
        p, y, _ = draw(rng, 60, k, 1.0, absent=(0,) if k == 2 else (0, k - 1))
        cases.append(describe(f"{k} classes, absent classes", p, y))
    p, y, _ = draw(rng, 1, 3, 1.0)
    cases.append(describe("one sample", p, y))

    tables = [(0, 0), (1, 0), (3, 9), (10, 10), (25, 60), (1000, 1100), (1, 2000)]
    families = [[0.01, 0.04, 0.03], [0.5, 0.5, 0.9], [0.001, 0.002, 0.002, 0.04, 1.0], [0.2]]
    statistics = {
        "mcnemar": [
            {"onlyFirst": b, "onlySecond": c, "p": float(mcnemar([[5, b], [c, 5]], exact=True).pvalue) if b + c else 1.0}
            for b, c in tables
        ],
        "holm": [{"p": f, "corrected": multipletests(f, method="holm")[1].tolist()} for f in families],
        "quantile": [
            {"values": v, "q": q, "value": float(np.quantile(v, q))}
            for v in ([1.0], [0.0, 1.0, 5.0, 7.0], [0.1, 0.2, 0.2, 0.4, 0.9])
            for q in (0.0, 0.025, 0.5, 0.975, 1.0)
        ],
        "linspace": [
            {"bins": b, "edges": [float(x) for x in torch.linspace(0, 1, b + 1, dtype=torch.float32)]}
            for b in (1, 2, 7, 10, 15, 30)
        ],
    }
    OUT.mkdir(parents=True, exist_ok=True)
    for name, data in (("cases", cases), ("statistics", statistics)):
        (OUT / f"{name}.json").write_text(json.dumps(data, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
