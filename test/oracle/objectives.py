"""Makes test/fixtures/objectives/losses.json: every objective over three epochs, written out in NumPy from its formula.

    pip install numpy
    python test/oracle/objectives.py

Versions used: NumPy 2.4. Formulas: label smoothing as in Szegedy et al. (CVPR 2016), online label smoothing as in
Zhang et al. (arXiv 2011.12562) and the two scripts of its authors. Sample by sample, so that it shares nothing with
the tensor form that it checks. Gradients are those of the batch's mean loss by each logit: (mass·p − target) / N.
"""

import json
from pathlib import Path

import numpy as np

from fill import uniform

OUT = Path(__file__).parent.parent / "fixtures" / "objectives"
EPOCHS, BATCHES, N, K = 3, 3, 8, 5
NEVER = 4  # the class without a correctly classified sample in the second epoch and later


def batches():
    """Class 0 is very sure in the first epoch and unsure later; class NEVER is right in the first epoch only."""
    for epoch in range(EPOCHS):
        for b in range(BATCHES):
            logits = uniform(f"logits {epoch} {b}", (N, K), -1, 1)
            labels = np.array([(b + i) % K for i in range(N)])
            for i, y in enumerate(labels):
                if y == 0:
                    logits[i, 0] += 8 if epoch == 0 else 1.5
                elif y == NEVER and epoch > 0:
                    logits[i, NEVER] -= 4
                elif i % 3 != 0:
                    logits[i, y] += 1
            yield epoch, b, logits, labels


def softmax(z):
    e = np.exp(z.astype(np.float64) - z.max())
    return e / e.sum()


def measure(logits, targets):
    """Mean cross-entropy against targets of any mass, and its gradient."""
    loss, gradient = 0.0, np.zeros((N, K))
    for i in range(N):
        p = softmax(logits[i])
        loss -= float((targets[i] * np.log(p)).sum()) / N
        gradient[i] = (targets[i].sum() * p - targets[i]) / N
    return loss, gradient


def stateless(epsilon):
    for _, _, logits, labels in batches():
        targets = [(1 - epsilon) * np.eye(K)[y] + epsilon / K for y in labels]
        loss, gradient = measure(logits, targets)
        yield {"loss": loss, "gradient": gradient.ravel().tolist()}


def online(hard, soft, start, freeze=None):
    S = np.full((K, K), start)  # row y: the target of class y
    for epoch, b, logits, labels in batches():
        if b == 0:
            sums, counts = np.zeros((K, K)), np.zeros(K)
        loss, gradient = measure(logits, [hard * np.eye(K)[y] + soft * S[y] for y in labels])
        step = {"loss": loss, "gradient": gradient.ravel().tolist()}
        for z, y in zip(logits, labels):
            if int(np.argmax(z)) == y:
                sums[y] += softmax(z)
                counts[y] += 1
        if b == BATCHES - 1:
            for y in range(K):
                if freeze is not None and S[y].max() >= freeze:
                    continue
                S[y] = sums[y] / counts[y] if counts[y] > 0 else np.full(K, 1 / K)
            step["targets"] = S.ravel().tolist()
            step["counts"] = counts.tolist()
        yield step


cases = {
    "hard": stateless(0.0),
    "ls": stateless(0.1),
    "ls:epsilon=0.3": stateless(0.3),
    "ols": online(0.5, 0.5, 1 / K),
    "ols:alpha=0.2": online(0.2, 0.8, 1 / K),
    "ols:variant=zero-start": online(0.5, 0.5, 0.0),
    "ols:variant=fine-grained": online(1.0, 1.0, 1 / K, freeze=0.88),
}
OUT.mkdir(parents=True, exist_ok=True)
data = [{"logits": z.ravel().tolist(), "labels": y.tolist()} for _, _, z, y in batches()]
content = {"classes": K, "batchesPerEpoch": BATCHES, "batches": data, "cases": {k: list(v) for k, v in cases.items()}}
(OUT / "losses.json").write_text(json.dumps(content) + "\n")
fine = content["cases"]["ols:variant=fine-grained"]
frozen = [np.array(s["targets"]).reshape(K, K)[0, 0] for s in fine if "targets" in s]
assert frozen[0] >= 0.88 and frozen[0] == frozen[1] == frozen[2], frozen
paper = [s for s in content["cases"]["ols"] if "targets" in s]
assert paper[0]["counts"][NEVER] > 0 and paper[1]["counts"][NEVER] == 0, [s["counts"] for s in paper]
assert paper[1]["targets"][0] < 0.88
