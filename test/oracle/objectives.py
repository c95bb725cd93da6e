"""Makes test/fixtures/objectives/losses.json: every objective over three epochs, written out in NumPy from its formula.

    pip install numpy
    python test/oracle/objectives.py

Versions used: NumPy 2.4. Formulas: label smoothing as in Szegedy et al. (CVPR 2016), online label smoothing as in
Zhang et al. (arXiv 2011.12562) and the two scripts of its authors, teacher-free KD as in Yuan et al. (arXiv 1909.11723)
and its authors' code (KLDivLoss averages over batch × classes), generalized label smoothing as in Wei et al. (arXiv
2106.04149), focal loss as in Lin et al. (ICCV 2017). Sample by sample, so that it shares nothing with the tensor form
that it checks. Gradients are those of the batch's mean loss by each logit: for cross-entropies (mass·p − target) / N,
for the others central differences in float64.
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


def log_softmax(z):
    z = z.astype(np.float64)
    return z - z.max() - np.log(np.exp(z - z.max()).sum())


def numeric(loss_of_sample):
    """loss_of_sample(epoch, logits row, label, teacher's row): the mean over the batch and its central differences."""
    for epoch, b, logits, labels in batches():
        teacher = teachers(epoch, b)
        loss, gradient = 0.0, np.zeros((N, K))
        for i, y in enumerate(labels):
            z = logits[i].astype(np.float64)
            loss += loss_of_sample(epoch, z, y, teacher[i]) / N
            for k in range(K):
                step = np.eye(K)[k] * 1e-5
                above, below = (loss_of_sample(epoch, z + d, y, teacher[i]) for d in (step, -step))
                gradient[i, k] = (above - below) / 2e-5 / N
        yield {"loss": loss, "gradient": gradient.ravel().tolist()}


def teachers(epoch, b):
    return uniform(f"teacher {epoch} {b}", (N, K), -3, 3)


def focal(gamma):
    def loss(_epoch, z, y, _teacher):
        p = np.exp(log_softmax(z))[y]
        return -((1 - p) ** gamma) * np.log(p)

    return numeric(loss)


def generalized(rate, warm_epochs, floor):
    def loss(epoch, z, y, _teacher):
        minus = -log_softmax(z)
        if epoch < warm_epochs:
            return minus[y]
        spread = np.minimum(minus, -np.log(floor)) if rate < 0 else minus
        return (1 - rate) * minus[y] + rate * spread.mean()

    return numeric(loss)


def virtual_teacher(alpha, temperature, multiplier):
    def loss(_epoch, z, y, _teacher):
        p_d = np.full(K, 0.01 / (K - 1))
        p_d[y] = 0.99
        q = softmax(p_d / temperature)
        divergence = (q * (np.log(q) - log_softmax(z))).sum() / K
        return (1 - alpha) * -log_softmax(z)[y] + alpha * multiplier * divergence

    return numeric(loss)


def self_teacher(alpha, temperature, multiplier):
    def loss(_epoch, z, y, teacher):
        q = softmax(teacher / temperature)
        divergence = (q * (np.log(q) - log_softmax(z / temperature))).sum() / K * temperature**2
        return (1 - alpha) * -log_softmax(z)[y] + alpha * multiplier * divergence

    return numeric(loss)


def class_similarity(epsilon, temperature, ordinal):
    similarity = np.zeros((K, K))
    if ordinal:
        similarity = np.array([[-abs(i - j) for j in range(K)] for i in range(K)], float)
    for epoch, b, logits, labels in batches():
        if b == 0:
            seen = {y: [] for y in range(K)}
        targets = []
        for y in labels:
            others = np.array([np.exp(similarity[y, k] / temperature) if k != y else 0.0 for k in range(K)])
            targets.append((1 - epsilon) * np.eye(K)[y] + epsilon * others / others.sum())
        loss, gradient = measure(logits, targets)
        yield {"loss": loss, "gradient": gradient.ravel().tolist()}
        for z, y in zip(logits, labels):
            seen[int(y)].append(z.astype(np.float64))
        if b == BATCHES - 1 and not ordinal:
            means = [np.mean(seen[y], axis=0) for y in range(K)]
            means = [m - m.mean() for m in means]  # a constant added to all logits means nothing
            for i in range(K):
                for j in range(K):
                    lengths = np.linalg.norm(means[i]) * np.linalg.norm(means[j])
                    similarity[i, j] = means[i] @ means[j] / lengths


cases = {
    "hard": stateless(0.0),
    "ls": stateless(0.1),
    "ls:epsilon=0.3": stateless(0.3),
    "ols": online(0.5, 0.5, 1 / K),
    "ols:alpha=0.2": online(0.2, 0.8, 1 / K),
    "ols:variant=zero-start": online(0.5, 0.5, 0.0),
    "ols:variant=fine-grained": online(1.0, 1.0, 1 / K, freeze=0.88),
    "tfkd-reg": virtual_teacher(0.1, 20, K),
    "tfkd-reg:alpha=0.95,temperature=2,multiplier=1": virtual_teacher(0.95, 2, 1),
    "tfkd-self": self_teacher(0.95, 6, K / 2),
    "tfkd-self:alpha=0.5,temperature=2,multiplier=3": self_teacher(0.5, 2, 3),
    "css": class_similarity(0.1, 0.2, ordinal=False),
    "css:epsilon=0.3,temperature=0.5": class_similarity(0.3, 0.5, ordinal=False),
    "css:similarity=ordinal": class_similarity(0.1, 1, ordinal=True),
    "gls": generalized(-0.3, 2, 1e-4),  # of three epochs 120/220 are hard labels
    "gls:rate=0.4": generalized(0.4, 0, 1e-4),
    "gls:rate=-0.5,warmup=0,floor=0.05": generalized(-0.5, 0, 0.05),
    "gls:rate=0.6,warmup=0.4,scale=0.5": generalized(0.6, 1, 1e-4),
    "focal": focal(2),
    "focal:gamma=0.5": focal(0.5),
}
OUT.mkdir(parents=True, exist_ok=True)
data = [
    {"logits": z.ravel().tolist(), "labels": y.tolist(), "teacher": teachers(e, b).ravel().tolist()}
    for e, b, z, y in batches()
]
content = {"classes": K, "batchesPerEpoch": BATCHES, "batches": data, "cases": {k: list(v) for k, v in cases.items()}}
(OUT / "losses.json").write_text(json.dumps(content) + "\n")
fine = content["cases"]["ols:variant=fine-grained"]
frozen = [np.array(s["targets"]).reshape(K, K)[0, 0] for s in fine if "targets" in s]
assert frozen[0] >= 0.88 and frozen[0] == frozen[1] == frozen[2], frozen
paper = [s for s in content["cases"]["ols"] if "targets" in s]
assert paper[0]["counts"][NEVER] > 0 and paper[1]["counts"][NEVER] == 0, [s["counts"] for s in paper]
assert paper[1]["targets"][0] < 0.88
