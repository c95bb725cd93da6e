"""Makes test/fixtures/objectives/findings.json: the objectives that serve findings, over three epochs, in NumPy and PyTorch.

    pip install numpy torch
    python test/oracle/objectives_findings.py

Versions used: NumPy 2.4, PyTorch 2.13. In NumPy: each finding of each sample by itself, as a problem of two classes, absent and present, with
the logits (0, z): the formulas of objectives.py at K = 2, so that this shares nothing with the sigmoid and softplus
forms that it checks. A y between 0 and 1 weighs the loss of "present" with y and that of "absent" with 1 − y; unknown
values have no part. Gradients are central differences in float64.

In PyTorch (objectives_rates.py): methods that look at rates, errors, or several values at once, by autograd in float64.
"""

import json
from pathlib import Path

import numpy as np

import objectives_rates
from fill import uniform

OUT = Path(__file__).parent.parent / "fixtures" / "objectives"
EPOCHS, BATCHES, N, K = 3, 3, 6, 3
NEVER = 2  # the finding that is present and never found in the second epoch and later


def batches():
    for epoch in range(EPOCHS):
        for b in range(BATCHES):
            name = f"findings {epoch} {b}"
            logits = uniform(f"{name} logits", (N, K), -2, 2).astype(np.float64)
            raw = uniform(f"{name} y", (N, K), 0, 1).astype(np.float64)
            y = np.where(raw < 0.35, 0.0, np.where(raw < 0.7, 1.0, np.round(raw, 2)))
            y[0, 0] = 0.5
            known = (uniform(f"{name} mask", (N, K), 0, 1) > 0.25).astype(np.float64)
            rates = np.round(uniform(f"{name} rates", (N, K), -0.5, 0.8).astype(np.float64), 2)
            rates[1, 1] = 0.0
            logits += np.where(y > 0.5, 1.0, -1.0)
            # The first finding is very sure in the first epoch.
            if epoch == 0:
                logits[:, 0] += np.where(y[:, 0] > 0.5, 6, -6)
            else:
                logits[:, NEVER] -= np.where(y[:, NEVER] > 0.5, 8, 0)
            y *= known  # what is not known is 0 in the data
            yield epoch, b, logits, y, known, rates


def teachers(epoch, b):
    return uniform(f"findings teacher {epoch} {b}", (N, K), -3, 3).astype(np.float64)


def log_p(z):
    """Logarithms of the probabilities of absent and present."""
    two = np.array([0.0, z])
    return two - two.max() - np.log(np.exp(two - two.max()).sum())


def numeric(loss_of):
    """loss_of(epoch, z, outcome, rate, teacher's z, k, target): of one finding; averaged over what is known."""
    for epoch, b, logits, y, known, rates in batches():
        teacher = teachers(epoch, b)
        count = known.sum()
        loss, gradient = 0.0, np.zeros((N, K))
        for i in range(N):
            for k in range(K):
                if not known[i, k]:
                    continue

                def of(z):
                    parts = [loss_of(epoch, z, c, rates[i, k], teacher[i, k], k) for c in (0, 1)]
                    return (y[i, k] * parts[1] + (1 - y[i, k]) * parts[0]) / count

                z = logits[i, k]
                loss += of(z)
                gradient[i, k] = (of(z + 1e-5) - of(z - 1e-5)) / 2e-5
        yield {"loss": loss, "gradient": gradient.ravel().tolist()}


def smoothing(epsilon):
    def loss(_epoch, z, c, *_):
        minus = -log_p(z)
        return (1 - epsilon) * minus[c] + epsilon * minus.mean()

    return numeric(loss)


def focal(gamma):
    def loss(_epoch, z, c, *_):
        log = log_p(z)[c]
        return -((1 - np.exp(log)) ** gamma) * log

    return numeric(loss)


def generalized(fixed, warm_epochs, floor):
    def loss(epoch, z, c, given, *_):
        rate = given if fixed is None else fixed
        if epoch < warm_epochs:
            rate = 0.0 if fixed is not None else max(rate, 0.0)
        minus = -log_p(z)
        spread = np.minimum(minus, -np.log(floor)) if rate < 0 else minus
        return (1 - rate) * minus[c] + rate * spread.mean()

    return numeric(loss)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def virtual_teacher(alpha, temperature, multiplier):
    def loss(_epoch, z, c, *_):
        p_d = np.array([0.01, 0.01])
        p_d[c] = 0.99
        q = softmax(p_d / temperature)
        divergence = (q * (np.log(q) - log_p(z))).sum() / 2
        return (1 - alpha) * -log_p(z)[c] + alpha * multiplier * divergence

    return numeric(loss)


def self_teacher(alpha, temperature, multiplier):
    def loss(_epoch, z, c, _rate, teacher, *_):
        log_q = log_p(teacher / temperature)
        divergence = (np.exp(log_q) * (log_q - log_p(z / temperature))).sum() / 2 * temperature**2
        return (1 - alpha) * -log_p(z)[c] + alpha * multiplier * divergence

    return numeric(loss)


def online(hard, soft, start, freeze=None):
    S = np.full((2, 2, K), start)  # of what is true, the masses of absent and present, by finding
    losses = None
    for epoch, b, logits, y, known, _rates in batches():
        if b == 0:
            sums, counts = np.zeros((2, K)), np.zeros((2, K))
        if losses is None:

            def of(_epoch, z, c, _rate, _teacher, k):
                target = hard * np.eye(2)[c] + soft * S[c, :, k]
                return -(target * log_p(z)).sum()

            losses = numeric(of)
        step = next(losses)
        for i in range(N):
            for k in range(K):
                truth = int(y[i, k] > 0.5)
                if known[i, k] and y[i, k] != 0.5 and int(logits[i, k] > 0) == truth:
                    sums[truth, k] += np.exp(log_p(logits[i, k])[1])
                    counts[truth, k] += 1
        if b == BATCHES - 1:
            for c in range(2):
                for k in range(K):
                    if freeze is not None and S[c, :, k].max() >= freeze:
                        continue
                    p = sums[c, k] / counts[c, k] if counts[c, k] > 0 else 0.5
                    S[c, :, k] = (1 - p, p)
            step["targets"] = S.ravel().tolist()
            step["counts"] = counts.ravel().tolist()
        yield step


cases = {
    "hard": smoothing(0.0),
    "ls": smoothing(0.1),
    "ls:epsilon=0.3": smoothing(0.3),
    "ols": online(0.5, 0.5, 0.5),
    "ols:alpha=0.2": online(0.2, 0.8, 0.5),
    "ols:variant=zero-start": online(0.5, 0.5, 0.0),
    "ols:variant=fine-grained": online(1.0, 1.0, 0.5, freeze=0.88),
    "tfkd-reg": virtual_teacher(0.1, 20, 2),
    "tfkd-reg:alpha=0.95,temperature=2,multiplier=1": virtual_teacher(0.95, 2, 1),
    "tfkd-self": self_teacher(0.95, 6, 1),
    "tfkd-self:alpha=0.5,temperature=2,multiplier=3": self_teacher(0.5, 2, 3),
    "gls:bound=floor": generalized(-0.3, 2, 1e-4),  # of three epochs 120/220 are hard labels
    "gls:rate=0.4": generalized(0.4, 0, 1e-4),
    "gls:rate=-0.5,warmup=0,bound=floor,floor=0.05": generalized(-0.5, 0, 0.05),
    "gls:rates=data,error=0,warmup=0,bound=floor": generalized(None, 0, 1e-4),
    "gls:rates=data,error=0,warmup=0.4,bound=floor,floor=0.1": generalized(None, 1, 0.1),
    "focal": focal(2),
    "focal:gamma=0.5": focal(0.5),
    **objectives_rates.cases(list(batches()), teachers),
}
data = [
    {
        "logits": z.ravel().tolist(),
        "values": y.ravel().tolist(),
        "mask": m.ravel().tolist(),
        "rates": r.ravel().tolist(),
        "teacher": teachers(e, b).ravel().tolist(),
    }
    for e, b, z, y, m, r in batches()
]
content = {"findings": K, "batchesPerEpoch": BATCHES, "errors": objectives_rates.ERRORS, "batches": data, "cases": {k: list(v) for k, v in cases.items()}}
ends = [s for s in content["cases"]["ols"] if "targets" in s]
present = [np.array(s["counts"]).reshape(2, K)[1, NEVER] for s in ends]
assert present[0] > 0 and present[1] == 0, present
fine = [np.array(s["targets"]).reshape(2, 2, K) for s in content["cases"]["ols:variant=fine-grained"] if "targets" in s]
assert fine[0][0, 0, 0] >= 0.88 and fine[0][0, 0, 0] == fine[2][0, 0, 0], [f[0, 0, 0] for f in fine]
(OUT / "findings.json").write_text(json.dumps(content) + "\n")
