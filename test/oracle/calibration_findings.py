"""Makes test/fixtures/calibration/findings.json, matrix.json and shift.json: Platt scaling, isotonic regression and the
logistic regression that tells two centres apart by scikit-learn, temperatures and matrix scaling with ODIR by SciPy.

    pip install numpy scipy scikit-learn
    python test/oracle/calibration_findings.py

Versions used: NumPy 2.4, SciPy 1.17, scikit-learn 1.9.1.
"""

import json
from pathlib import Path

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit, log_softmax, softmax
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

OUT = Path(__file__).parent.parent / "fixtures" / "calibration"


def findings():
    """300 samples of three findings with prevalences of a half, a fifth and a twentieth, a quarter of them unknown."""
    rng = np.random.default_rng(8)
    n, k = 300, 3
    z = np.round(rng.normal(size=(n, k)) * 2 + [0, -1, -2], 1)
    y = (rng.random((n, k)) < expit(0.5 * z + [0.2, -0.5, -1])).astype(int)
    mask = (rng.random((n, k)) < 0.75).astype(int)
    at = np.linspace(-7, 7, 29)
    columns = []
    for j in range(k):
        known = mask[:, j] == 1
        zj, yj = z[known, j], y[known, j]
        platt = _SigmoidCalibration().fit(zj, yj)
        isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(zj, yj)
        beta = brentq(lambda b: float(((expit(b * zj) - yj) * zj).sum()), 0.05, 20, xtol=1e-14)
        columns.append(
            dict(
                platt=platt.predict(at).tolist(),
                isotonic=isotonic.predict(at).tolist(),
                temperature=1 / beta,
                samples=int(known.sum()),
                positives=int(yj.sum()),
            )
        )
    return dict(
        findings=k, logits=z.ravel().tolist(), values=y.ravel().tolist(), mask=mask.ravel().tolist(), at=at.tolist(),
        columns=columns,
    )


def odir(x, y, lam, mu):
    """Weights and offsets that minimise the mean NLL with the two penalties."""
    n, k = x.shape
    off = ~np.eye(k, dtype=bool)

    def objective(theta):
        w, b = theta[: k * k].reshape(k, k), theta[k * k :]
        logits = x @ w.T + b
        residual = (softmax(logits, axis=1) - np.eye(k)[y]) / n
        value = -log_softmax(logits, axis=1)[np.arange(n), y].mean()
        value += lam / (k * (k - 1)) * (w[off] ** 2).sum() + mu / k * (b**2).sum()
        gw = residual.T @ x + 2 * lam / (k * (k - 1)) * np.where(off, w, 0)
        return value, np.concatenate([gw.ravel(), residual.sum(0) + 2 * mu / k * b])

    start = np.concatenate([np.eye(k).ravel(), np.zeros(k)])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=dict(maxiter=50000, maxfun=100000, ftol=1e-16, gtol=1e-11))
    return found.x[: k * k].reshape(k, k), found.x[k * k :], float(found.fun)


def matrices():
    rng = np.random.default_rng(9)
    n, k, lam, mu = 240, 4, 0.05, 0.02
    y = rng.integers(0, k, n)
    z = np.round(2 * (rng.normal(size=(n, k)) + 1.2 * np.eye(k)[y] + 0.5 * np.eye(k)[(y + 1) % k]), 2)
    others = np.round(2 * rng.normal(size=(20, k)), 2)
    result = dict(classes=k, lam=lam, mu=mu, logits=z.ravel().tolist(), labels=y.tolist(), others=others.ravel().tolist())
    for name, inputs in dict(matrix=lambda v: v, dirichlet=lambda v: log_softmax(v, axis=1)).items():
        w, b, value = odir(inputs(z), y, lam, mu)
        result[name] = dict(probabilities=softmax(inputs(others) @ w.T + b, axis=1).ravel().tolist(), value=value)
    return result


def shift():
    """Two centres of 60 and 40 samples with three features; density ratios at ten of them."""
    rng = np.random.default_rng(10)
    source = np.round(rng.normal(size=(60, 3)) * [1, 5, 0.1], 3)
    target = np.round(rng.normal(size=(40, 3)) * [1, 5, 0.1] + [0.8, -2, 0], 3)
    x, y = np.concatenate([source, target]), np.repeat([0, 1], [60, 40])
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=1, tol=1e-12, max_iter=10000).fit(scaler.transform(x), y)
    odds = np.exp(model.decision_function(scaler.transform(target[:10])))
    return dict(
        source=source.ravel().tolist(), target=target.ravel().tolist(), coefficients=model.coef_[0].tolist(),
        offset=float(model.intercept_[0]), weights=(odds * 60 / 40).tolist(),
    )


if __name__ == "__main__":
    (OUT / "findings.json").write_text(json.dumps(findings()) + "\n")
    (OUT / "matrix.json").write_text(json.dumps(matrices()) + "\n")
    (OUT / "shift.json").write_text(json.dumps(shift()) + "\n")
