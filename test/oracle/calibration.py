"""Makes test/fixtures/calibration/*.json: what PyTorch's L-BFGS, scikit-learn, SciPy and plain NumPy say of calibrators,
conformal sets, risk-coverage areas and certificates.

    pip install torch numpy scipy scikit-learn
    python test/oracle/calibration.py

Versions used: torch 2.13, NumPy 2.4, SciPy 1.17, scikit-learn 1.9.
"""

import json
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import softmax
from scipy.stats import binomtest, norm
from sklearn.isotonic import IsotonicRegression

OUT = Path(__file__).parent.parent / "fixtures" / "calibration"


def draw(rng, n, k, sharpness, step=0.01, absent=()):
    """Logits on a grid, so that JSON holds each fp32 number in few digits; `absent` classes have no labels."""
    y = rng.choice([c for c in range(k) if c not in absent], n)
    z = sharpness * (rng.normal(size=(n, k)) + 1.2 * np.eye(k)[y] + np.linspace(-0.5, 0.5, k))
    return (np.round(z / step) * step).round(2), y


def lbfgs(parameters, loss):
    """Minimises to the limits of fp64."""
    optimizer = torch.optim.LBFGS(
        parameters, lr=1, max_iter=5000, max_eval=20000, tolerance_grad=1e-13, tolerance_change=1e-16,
        history_size=50, line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)


def temperature(z, y):
    tz, ty = torch.from_numpy(z), torch.from_numpy(y)
    log_t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    lbfgs([log_t], lambda: torch.nn.functional.cross_entropy(tz / log_t.exp(), ty))
    return float(log_t.detach().exp())


def vector(z, y, t, ridge):
    """Scale and bias with a ridge towards 1/t and 0, over the classes with labels; the others stay there."""
    k = z.shape[1]
    present = np.unique(y)
    tz, ty = torch.from_numpy(z[:, present]), torch.from_numpy(np.searchsorted(present, y))
    a = torch.zeros(len(present), dtype=torch.float64, requires_grad=True)
    b = torch.zeros(len(present), dtype=torch.float64, requires_grad=True)

    def loss():
        penalty = ridge / 2 * (a.square().sum() + b.square().sum())
        return torch.nn.functional.cross_entropy(tz * (1 / t + a) + b, ty) + penalty

    lbfgs([a, b], loss)
    scale, bias = np.full(k, 1 / t), np.zeros(k)
    scale[present] += a.detach().numpy()
    bias[present] += b.detach().numpy()
    return scale, bias


def one_vs_rest(p, q, y, fit):
    """`fit(p_k, 1[y = k])` gives a function, which maps column k of q; then rows are divided by their sums."""
    columns = []
    for k in range(p.shape[1]):
        if (y == k).any():
            columns.append(fit(p[:, k], (y == k).astype(np.float64))(q[:, k]))
        else:
            columns.append(q[:, k].astype(np.float64))
    out = np.stack(columns, 1)
    total = out.sum(1, keepdims=True)
    return np.where(total > 0, out / np.where(total > 0, total, 1), q)


def isotonic(x, outcome):
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(x.astype(np.float64), outcome)
    return lambda q: model.predict(q.astype(np.float64))


def equal_width(bins):
    def fit(x, outcome):
        edges = (np.arange(1, bins) / bins).astype(np.float32)
        bin_of = np.searchsorted(edges, x, side="left")
        values = [
            outcome[bin_of == b].mean() if (bin_of == b).any() else np.float32(b / bins) / 2 + np.float32((b + 1) / bins) / 2
            for b in range(bins)
        ]
        return lambda q: np.array(values)[np.searchsorted(edges, q, side="left")]

    return fit


def equal_mass(bins):
    """For numbers without ties whose count the bins divide."""

    def fit(x, outcome):
        assert len(np.unique(x)) == len(x) and len(x) % bins == 0
        order = np.argsort(x)
        parts = np.split(order, bins)
        edges = [(float(x[a[-1]]) + float(x[b[0]])) / 2 for a, b in zip(parts, parts[1:])]
        values = np.array([outcome[part].mean() for part in parts])
        return lambda q: values[np.searchsorted(edges, q.astype(np.float64), side="left")]

    return fit


def calibrators():
    rng = np.random.default_rng(7)
    cases = []
    for name, n, k, sharpness, step, absent in [
        ("three classes", 120, 3, 3.0, 0.01, ()),
        ("five classes, under-confident", 200, 5, 0.4, 0.01, ()),
        ("many ties", 150, 4, 2.0, 0.5, ()),
        ("a class without samples", 150, 4, 2.0, 0.01, (2,)),
    ]:
        z, y = draw(rng, n, k, sharpness, step, absent)
        other, _ = draw(rng, 30, k, 1.5 * sharpness, step)
        p, q = softmax(z, 1).astype(np.float32), softmax(other, 1).astype(np.float32)
        t = temperature(z, y)
        ridge = 1e-3
        a, b = vector(z, y, t, ridge)
        expected = {
            "temperature": t,
            "vector": {"ridge": ridge, "scale": a.tolist(), "bias": b.tolist()},
            "isotonic": one_vs_rest(p, q, y, isotonic).ravel().tolist(),
            "histogram": one_vs_rest(p, q, y, equal_width(10)).ravel().tolist(),
        }
        if not absent:
            a, b = vector(z, y, t, 0.0)
            expected["vectorWithoutRidge"] = softmax(other * a + b, 1).ravel().tolist()
        if step == 0.01 and all(len(np.unique(p[:, c])) == n for c in range(k)):
            expected["histogramMass"] = one_vs_rest(p, q, y, equal_mass(10)).ravel().tolist()
        cases.append({
            "name": name, "classes": k, "logits": z.ravel().tolist(), "labels": y.tolist(),
            "others": other.ravel().tolist(), "expected": expected,
        })
    return cases


def conformal_score(p, method, lam, k_reg):
    """N x K scores without chance (u = 1)."""
    if method == "lac":
        return 1 - p
    order = np.argsort(-p, axis=1, kind="stable")
    rows = np.arange(len(p))[:, None]
    score = np.empty_like(p)
    ranked = np.cumsum(p[rows, order], 1)
    if method == "raps":
        ranked = ranked + lam * np.maximum(0, np.arange(1, p.shape[1] + 1) - k_reg)
    score[rows, order] = ranked
    return score


def conformal_cases(rng, n, k, alpha):
    """None where a class is at the quantile itself, and could fall to either side by rounding."""
    z, y = draw(rng, n + 25, k, 1.5)
    p = softmax(z, 1).round(5)
    held, test = p[:n], p[n:]
    cases = []
    for method in ("lac", "aps", "raps"):
        scores = conformal_score(held, method, 0.05, 2)[np.arange(n), y[:n]]
        rank = int(np.ceil(round((n + 1) * (1 - alpha), 9)))
        quantile = np.inf if rank > n else np.sort(scores)[rank - 1]
        others = conformal_score(test, method, 0.05, 2)
        if np.abs(others - quantile).min() < 1e-9:
            return None
        sets = others <= quantile
        cases.append({
            "method": method, "alpha": alpha, "classes": k, "lambda": 0.05, "kReg": 2,
            "calibration": held.ravel().tolist(), "labels": y[:n].tolist(),
            "test": test.ravel().tolist(), "testLabels": y[n:].tolist(),
            "quantile": None if np.isinf(quantile) else float(quantile),
            "sets": [np.flatnonzero(row).tolist() for row in sets],
            "coverage": float(sets[np.arange(25), y[n:]].mean()),
            "meanSize": float(sets.sum(1).mean()),
        })
    return cases


def conformal():
    rng = np.random.default_rng(8)
    cases = []
    for n, k, alpha in [(60, 4, 0.1), (99, 6, 0.1), (40, 3, 0.25), (18, 3, 0.05), (19, 3, 0.05)]:
        found = None
        while found is None:
            found = conformal_cases(rng, n, k, alpha)
        cases += found
    return cases


def risk_coverage():
    """By the definition; tied samples share their mean error."""
    rng = np.random.default_rng(9)
    cases = []
    for n, step in [(1, 0.01), (50, 0.0), (80, 0.1), (300, 0.05), (600, 0.5)]:
        confidence = rng.uniform(0.5, 1, n)
        if step:
            confidence = (np.ceil(confidence / step) * step).round(2)
        wrong = (rng.uniform(size=n) > confidence).astype(float)
        shared = np.array([wrong[confidence == c].mean() for c in confidence])
        order = np.argsort(-confidence, kind="stable")
        counts = np.arange(1, n + 1)
        risk = np.cumsum(shared[order]) / counts
        best = (np.cumsum(np.sort(wrong)) / counts).mean()
        cases.append({
            "confidence": confidence.tolist(), "correct": (1 - wrong).astype(int).tolist(),
            "aurc": float(risk.mean()), "excess": float(risk.mean() - best),
            "selective": {str(c): float(1 - risk[int(np.ceil(round(c * n, 9))) - 1]) for c in (0.5, 0.8, 0.95, 1)},
        })
    return cases


def certificates():
    rng = np.random.default_rng(10)
    cases = []
    for m, sigma, delta, low, high in [(20, 0.25, 0.1, 0, 1), (200, 0.5, 0.001, 0, 1), (200, 0.25, 0.01, -1, 1)]:
        h = np.stack([rng.beta(8, 2, m), rng.beta(1, 1, m), np.full(m, 0.98), (rng.uniform(size=m) < 0.9) * 1.0])
        h = (low + (high - low) * h).round(4)
        eps = np.sqrt(np.log(1 / delta) / (2 * m))
        radii = [0.0, 0.1, 0.25, 0.7]

        def lifted(p, r):
            return low + (high - low) * norm.cdf(norm.ppf(np.clip(p, 0, 1)) - r / sigma)

        def cdf(row, r, eps):
            s = np.sort(row)
            share = np.clip((m - np.arange(m)) / m - eps, 0, 1)
            steps = np.diff(np.concatenate([[low], s]))
            return low + float((steps * norm.cdf(norm.ppf(share) - r / sigma)).sum())

        unit = (h - low) / (high - low)
        log = np.log(2 / delta)
        lower = {
            "hoeffding": unit.mean(1) - eps,
            "bernstein": unit.mean(1) - np.sqrt(2 * unit.var(1, ddof=1) * log / m) - 7 * log / (3 * (m - 1)),
        }
        threshold = low + 0.6 * (high - low)

        def radius(bound):
            if bound(0) < threshold:
                return -1.0
            return float(brentq(lambda r: bound(r) - threshold, 0, 10 * sigma, xtol=1e-12))

        cases.append({
            "draws": m, "sigma": sigma, "delta": delta, "range": [low, high], "radii": radii,
            "samples": h.ravel().tolist(), "samplingError": float(eps), "threshold": threshold,
            "bounds": {
                **{name: [float(lifted(p, r)) for p in ps for r in radii] for name, ps in lower.items()},
                "cdf": [cdf(row, r, eps) for row in h for r in radii],
            },
            "estimate": [cdf(row, r, 0.0) for row in h for r in radii],
            "radius": {
                **{name: [radius(lambda r, p=p: lifted(p, r)) for p in ps] for name, ps in lower.items()},
                "cdf": [radius(lambda r, row=row: cdf(row, r, eps)) for row in h],
            },
        })
    return cases


def wilson():
    cases = []
    for k, n, level in [(0, 5, 0.95), (5, 5, 0.95), (90, 100, 0.95), (1, 3, 0.8), (990_000, 1_000_000, 0.99)]:
        interval = binomtest(k, n).proportion_ci(level, method="wilson")
        cases.append({"successes": k, "n": n, "level": level, "low": interval.low, "high": interval.high})
    return cases


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, cases in {
        "calibrators": calibrators(), "conformal": conformal(), "risk-coverage": risk_coverage(),
        "certificates": certificates(), "wilson": wilson(),
    }.items():
        (OUT / f"{name}.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
