"""Makes test/fixtures/reports/audit.json: Firth's logistic regression with intervals of the profile, in NumPy.

    pip install numpy
    python test/oracle/reports_audit.py

Versions used: NumPy 2.4. Newton's method on the modified score U*(b) = X'(y - p + h(1/2 - p)), h the diagonal of the hat
matrix (Heinze & Schemper 2002); the code that it checks searches the penalised likelihood itself.
"""

import json
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "fixtures" / "reports" / "audit.json"


def penalised(X, y, beta):
    z = X @ beta
    p = 1 / (1 + np.exp(-z))
    W = p * (1 - p)
    information = X.T @ (X * W[:, None])
    return (y * z - np.logaddexp(0, z)).sum() + 0.5 * np.linalg.slogdet(information)[1]


def firth(X, y, fixed=None):
    """fixed: the slope, where only the intercept is free; the penalty stays that of both."""
    beta = np.zeros(2) if fixed is None else np.array([0.0, fixed])
    free = [0, 1] if fixed is None else [0]
    for _ in range(500):
        p = 1 / (1 + np.exp(-(X @ beta)))
        W = p * (1 - p)
        inverse = np.linalg.inv(X.T @ (X * W[:, None]))
        h = W * np.einsum("ij,jk,ik->i", X, inverse, X)
        score = (X.T @ (y - p + h * (0.5 - p)))[free]
        step = np.linalg.inv((X.T @ (X * W[:, None]))[np.ix_(free, free)]) @ score
        step *= min(1, 1 / max(1e-12, np.abs(step).max()))
        beta[free] += step
        if np.abs(step).max() < 1e-12:
            break
    return beta


def interval(X, y, beta):
    least = penalised(X, y, beta) - 3.841458820694124 / 2
    profile = lambda b: penalised(X, y, firth(X, y, b))
    ends = []
    for direction in (-1, 1):
        inside, outside = beta[1], beta[1] + direction
        while profile(outside) > least:
            inside, outside = outside, outside + direction
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if profile(middle) > least else (inside, middle)
        ends.append((inside + outside) / 2)
    return ends


cases = []
for seed, (n, slope, shift) in enumerate([(40, 1, 0), (200, 0.5, -0.4), (15, 2, 0), (300, 0, 0.2), (12, 3, 0)]):
    rng = np.random.default_rng(seed)
    p = np.round(rng.choice([0.17, 0.35, 0.456, 0.523, 0.673, 0.785, 0.9], n), 3)
    x = np.log(p / (1 - p))
    y = (rng.random(n) < 1 / (1 + np.exp(-(shift + slope * x)))).astype(float)
    if seed == 4:
        y = (p > 0.5).astype(float)  # separated: ordinary maximum likelihood has no answer
    X = np.stack([np.ones(n), x], 1)
    beta = firth(X, y)
    low, high = interval(X, y, beta)
    cases.append({"p": p.tolist(), "y": y.tolist(), "intercept": beta[0], "slope": beta[1], "low": low, "high": high})
OUT.write_text(json.dumps(cases) + "\n")
