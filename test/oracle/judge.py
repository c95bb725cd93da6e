"""Makes test/fixtures/judge/: prediction files as a PyTorch user would write them, and what others say of them.

    pip install torch torchmetrics numpy scikit-learn
    python test/oracle/judge.py

The files are made with NumPy alone: one label of K as CSV, logits as .npz, 14 findings as CSV with blanks for what is not
known. `expected.json` holds torchmetrics' and scikit-learn's figures. Versions used: torch 2.13, torchmetrics 1.9.0,
NumPy 2.4, scikit-learn 1.9.
"""

import json
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "fixtures" / "judge"
OUT.mkdir(parents=True, exist_ok=True)
CLASSES = ["none", "glioma", "meningioma", "pituitary"]
FINDINGS = 14


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def write(name, header, rows):
    lines = [",".join(header)] + [",".join(str(v) for v in row) for row in rows]
    (OUT / name).write_text("\n".join(lines) + "\n")


def make(random):
    n, k = 300, len(CLASSES)
    z = random.normal(size=(n, k)) * 1.5
    labels = np.array([random.choice(k, p=row) for row in softmax(z)])
    ids = np.array([f"scan{i:04d}" for i in range(n)])
    probabilities = softmax(2 * z)
    order = random.permutation(n)
    write(
        "one-of-k.csv",
        ["id", "label", "patient"] + [f"p_{c}" for c in CLASSES],
        [[ids[i], CLASSES[labels[i]], f"patient{i // 2}"] + [float(v) for v in probabilities[i]] for i in order],
    )
    # Another network on the same samples, in another order.
    logits = 1.2 * z + random.normal(size=(n, k)) * 0.3
    again = random.permutation(n)
    np.savez(OUT / "logits.npz", logits=logits[again], labels=labels[again], ids=ids[again], classes=np.array(CLASSES))

    m = 240
    base = random.normal(size=(m, FINDINGS)) - np.linspace(0, 2, FINDINGS)
    present = (random.random((m, FINDINGS)) < sigmoid(base)).astype(float)
    present[:, 5] = 0  # Never present: no AUROC, no average precision.
    known = random.random((m, FINDINGS)) > 0.15
    scores = sigmoid(1.7 * base)
    names = [f"finding {j}" for j in range(FINDINGS)]
    write(
        "findings.csv",
        ["image", "patient"] + [f"y_{f}" for f in names] + [f"p_{f}" for f in names],
        [
            [f"image{i}", i // 3]
            + ["" if not known[i, j] else int(present[i, j]) for j in range(FINDINGS)]
            + [float(v) for v in scores[i]]
            for i in range(m)
        ],
    )
    return probabilities, softmax(logits), labels, scores, present, known


def expect(probabilities, from_logits, labels, scores, present, known):
    import torch
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score
    from torchmetrics.functional.classification import (
        binary_auroc,
        binary_average_precision,
        binary_calibration_error,
        multiclass_accuracy,
        multiclass_auroc,
        multiclass_calibration_error,
    )

    def one_of_k(p):
        k = p.shape[1]
        pt, yt = torch.tensor(p), torch.tensor(labels)
        hot = np.eye(k)[labels]
        return {
            "top1": float(multiclass_accuracy(pt, yt, k, average="micro")),
            "balancedAccuracy": float(balanced_accuracy_score(labels, p.argmax(axis=1))),
            "auroc": float(multiclass_auroc(pt, yt, k, average="macro")),
            "nll": float(log_loss(labels, p)),
            "brier": float(((p - hot) ** 2).sum(axis=1).mean()),
            "ece": float(multiclass_calibration_error(pt, yt, k, n_bins=15, norm="l1")),
            "mce": float(multiclass_calibration_error(pt, yt, k, n_bins=15, norm="max")),
        }

    per = {name: [] for name in ("auroc", "auprc", "nll", "brier", "ece")}
    for j in range(scores.shape[1]):
        p, y = scores[known[:, j], j], present[known[:, j], j]
        pt, yt = torch.tensor(p), torch.tensor(y.astype(int))
        both = 0 < y.sum() < len(y)
        per["auroc"].append(float(roc_auc_score(y, p)) if both else None)
        per["auprc"].append(float(average_precision_score(y, p)) if both else None)
        if both:
            assert abs(float(binary_auroc(pt, yt)) - per["auroc"][-1]) < 1e-6
            assert abs(float(binary_average_precision(pt, yt)) - per["auprc"][-1]) < 1e-6
        per["nll"].append(float(log_loss(y, p, labels=[0, 1])))
        per["brier"].append(float(brier_score_loss(y, p, labels=[0, 1])))
        per["ece"].append(float(binary_calibration_error(pt, yt, n_bins=15, norm="l1")))
    macro = {name: float(np.mean([v for v in values if v is not None])) for name, values in per.items()}
    return {
        "oneOfK": one_of_k(probabilities),
        "logits": one_of_k(from_logits),
        "findings": {"macro": macro, "perFinding": per},
    }


if __name__ == "__main__":
    figures = expect(*make(np.random.default_rng(20)))
    (OUT / "expected.json").write_text(json.dumps(figures, indent=1) + "\n")
