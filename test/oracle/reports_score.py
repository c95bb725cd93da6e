"""Figures of scoring, computed with NumPy alone, for test/reports/score.test.ts.

Run: python test/oracle/reports_score.py   (needs numpy)
"""

import json
import pathlib

import numpy as np

rng = np.random.default_rng(3)


def ranks(x):
    """Mean ranks, ties shared."""
    x = np.asarray(x)
    return np.array([(x < v).sum() + ((x == v).sum() + 1) / 2 for v in x])


cases = []
for n in (2, 10, 400):
    p = rng.choice([0, 0.05, 0.17, 0.35, 0.456, 0.523, 0.785, 0.839, 1], size=n)
    label = np.where(rng.uniform(size=n) < p, 1, 0).astype(float)
    label[rng.uniform(size=n) < 0.2] = -1
    if n == 2:
        p, label = np.array([0.2, 0.9]), np.array([1.0, 0.0])
    known = label >= 0
    order = np.where(label < 0, 0.5, label)
    bins = np.minimum(9, np.floor(p * 10)).astype(int)
    gap = sum(
        known[bins == b].sum() * abs(p[known & (bins == b)].mean() - label[known & (bins == b)].mean())
        for b in range(10)
        if (known & (bins == b)).any()
    )
    found = p > 0  # present or uncertain
    positive = label != 0
    cases.append(
        {
            "p": p.tolist(),
            "label": label.tolist(),
            "spearman": float(np.corrcoef(ranks(p), ranks(order))[0, 1]),
            "brier": float(((p - label) ** 2)[known].mean()),
            "calibrationError": float(gap / known.sum()),
            "recall": float((found & positive).sum() / positive.sum()),
            "precision": float((found & positive).sum() / found.sum()),
            "recallByLabel": float(((p >= 0.5) & positive).sum() / positive.sum()),
        }
    )

out = pathlib.Path(__file__).parent.parent / "fixtures" / "reports" / "score.json"
out.write_text(json.dumps(cases) + "\n")
