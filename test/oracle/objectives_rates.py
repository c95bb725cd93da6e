"""Objectives of findings that look at rates, errors, or several values at once: PyTorch's autograd in float64.

Run by objectives_findings.py. Written with probabilities where the code has softplus; masks are choices where it multiplies.
"""

import math

import numpy as np
import torch

# Of each of three findings: false positives and misses of definite statements, errors of hedged ones.
ERRORS = [
    {"falsePositive": 0.02, "miss": 0.1, "hedged": 0.05},
    {"falsePositive": 0.0, "miss": 0.3, "hedged": 0.0},
    {"falsePositive": 0.15, "miss": 0.0, "hedged": 0.2},
]
LARGEST = 0.999


class Batch:
    def __init__(self, epoch, number, z, y, known, rates, teacher):
        tensor = lambda a: torch.tensor(np.asarray(a, dtype=np.float64))
        self.epoch, self.number = epoch, number
        # float32 as the code is given them
        self.z = tensor(np.asarray(z, dtype=np.float32)).requires_grad_()
        self.y, self.rates = (tensor(np.asarray(a, dtype=np.float32)) for a in (y, rates))
        self.known = tensor(known) > 0
        self.teacher = tensor(np.asarray(teacher, dtype=np.float32))
        n = self.y.shape[0]
        self.indices = torch.arange(n) + number * n

    def mean(self, losses, known=None):
        return losses[self.known if known is None else known].mean() if bool((self.known if known is None else known).any()) else 0 * losses.sum()

    @property
    def p(self):
        return torch.sigmoid(self.z)

    @property
    def expressed(self):
        r = self.rates.clamp(min=0)
        return (1 - r) * self.y + r / 2


def bce(z, t):
    return -(t * torch.nn.functional.logsigmoid(z) + (1 - t) * torch.nn.functional.logsigmoid(-z))


def run(batches, teachers, loss_of, after=lambda b: None):
    """loss_of(batch) gives the scalar; after(batch) what is learnt from it."""
    for epoch, number, z, y, known, rates in batches:
        b = Batch(epoch, number, z, y, known, rates, teachers(epoch, number))
        loss = loss_of(b)
        (gradient,) = torch.autograd.grad(loss, b.z)
        yield {"loss": loss.item(), "gradient": gradient.numpy().ravel().tolist()}
        with torch.no_grad():
            after(b)


def errors_of(b, error=None, fp=None, miss=None):
    if error is not None:
        return torch.full_like(b.y, error), torch.full_like(b.y, error)
    if fp is not None or miss is not None:
        return torch.full_like(b.y, fp or 0), torch.full_like(b.y, miss or 0)
    column = lambda kind: torch.tensor([e[kind] for e in ERRORS], dtype=torch.float64).expand_as(b.y)
    doubt = b.rates > 0
    hedged = column("hedged")
    return torch.where(doubt, hedged, column("falsePositive")), torch.where(doubt, hedged, column("miss"))


def unbiased(warm, cap=5.0, floor=None, **given):
    """Natarajan et al. 2013, lemma 1: the unbiased label's target, then the wording's doubt, then a rate of it."""

    def loss(b):
        fp, miss = errors_of(b, **given)
        of_one = (1 - fp) / (1 - fp - miss)
        of_zero = -fp / (1 - fp - miss)
        label = b.y * of_one + (1 - b.y) * of_zero
        target = (1 - b.rates) * label + b.rates / 2
        # target = (1 - r) y + r/2
        r = torch.where((b.y - 0.5).abs() < 1e-9, torch.zeros_like(target), (b.y - target) / (b.y - 0.5))
        exact = b.rates + (1 - b.rates) * -2 * (b.y * miss + (1 - b.y) * fp) / (1 - fp - miss)
        sure = (b.y == 0) | (b.y == 1)
        assert torch.allclose(r[sure], exact[sure])
        r = torch.where(b.rates < 0, b.rates, exact.clamp(-LARGEST, LARGEST))
        if b.epoch < warm:
            r = b.rates.clamp(min=0)
        return b.mean(at_rate(b.z, b.y, r, cap, floor))

    return loss


def at_rate(z, y, r, cap, floor):
    nll, rest = bce(z, torch.ones_like(y)), bce(z, torch.zeros_like(y))
    own = y * nll + (1 - y) * rest
    plain = (1 - r) * own + r * (nll + rest) / 2
    if floor is not None:
        most = -math.log(floor)
        sharp = (1 - r) * own + r * (nll.clamp(max=most) + rest.clamp(max=most)) / 2
    else:
        c = cap * torch.tanh(z / cap)
        nll, rest = bce(c, torch.ones_like(y)), bce(c, torch.zeros_like(y))
        sharp = (1 - r) * (y * nll + (1 - y) * rest) + r * (nll + rest) / 2
    return torch.where(r < 0, sharp, plain)


def fixed_rate(rate, warm, cap):
    def loss(b):
        r = torch.full_like(b.y, 0.0 if b.epoch < warm else rate)
        return b.mean(at_rate(b.z, b.y, r, cap, None))

    return loss


def forward(wording=True, **given):
    def loss(b):
        fp, miss = errors_of(b, **given)
        q = (1 - miss) * b.p + fp * (1 - b.p)
        r = b.rates.clamp(min=0) if wording else torch.zeros_like(b.rates)
        half = (1 - miss) * 0.5 + fp * 0.5
        t = (1 - r) * b.y + r * half
        return b.mean(-(t * torch.log(q) + (1 - t) * torch.log(1 - q)))

    return loss


def policy(value):
    """value(batch): the targets of hedged findings."""
    return lambda b: b.mean(bce(b.z, torch.where(b.rates > 0, value(b), b.y)))


def three_classes(b):
    """The head of doubt says what the teacher says: the fixture has one array for both."""
    logits = torch.stack([torch.zeros_like(b.z), b.z, b.teacher + torch.log(1 + torch.exp(b.z.detach()))], -1)
    log_p = torch.log_softmax(logits, -1)
    plain = (1 - b.y) * log_p[..., 0] + b.y * log_p[..., 1]
    return -b.mean(torch.where(b.rates > 0, log_p[..., 2], plain))


def asymmetric(negative, positive, margin):
    def loss(b):
        shifted = (b.p - margin).clamp(min=0)
        of_one = (1 - b.p) ** positive * torch.log(b.p)
        of_zero = shifted**negative * torch.log(1 - shifted)
        return -b.mean(b.y * of_one + (1 - b.y) * of_zero)

    return loss


def shares(batches):
    first = [(y, known) for epoch, _, _, y, known, _ in batches if epoch == 0]
    y = np.concatenate([a for a, _ in first])
    known = np.concatenate([k for _, k in first]) > 0
    one, zero = ((y > 0.5) & known).sum(0), ((y < 0.5) & known).sum(0)
    return torch.tensor(one / (one + zero))


def auc_margin(batches, margin, version, warm, step):
    pi = shares(batches)
    a, b_, alpha = (torch.zeros(3, dtype=torch.float64) for _ in range(3))

    def objective(b, a, b_, alpha):
        """By finding: LibAUC's v1 with the mean over known values, or that over pi (1 - pi)."""
        total = []
        for k in range(3):
            known = b.known[:, k]
            if not bool(known.any()):
                total.append(0 * b.z[:, k].sum())
                continue
            h, y = torch.sigmoid(b.z[known, k]), b.y[known, k]
            one, zero = (y > 0.5).double(), (y < 0.5).double()
            p = pi[k]
            value = (
                (1 - p) * ((h - a[k]) ** 2 * one).mean()
                + p * ((h - b_[k]) ** 2 * zero).mean()
                + 2 * alpha[k] * (p * (1 - p) * margin + (p * h * zero - (1 - p) * h * one).mean())
                - p * (1 - p) * alpha[k] ** 2
            )
            total.append(value if version == "v1" else value / (p * (1 - p)))
        return torch.stack(total)

    def loss(b):
        if b.epoch < warm:
            return b.mean(bce(b.z, b.y))
        count = b.known.sum(0)
        return (objective(b, a, b_, alpha) * count).sum() / count.sum()

    def after(b):
        nonlocal a, b_, alpha
        with torch.enable_grad():
            leaves = [t.clone().requires_grad_() for t in (a, b_, alpha)]
            gradients = torch.autograd.grad(objective(b, *leaves).sum(), leaves)
        clip = [g.clamp(-1, 1) for g in gradients]
        a, b_ = a - step * clip[0], b_ - step * clip[1]
        alpha = (alpha + step * clip[2]).clamp(min=0)

    return loss, after


def nvum(batches, weight, decay, tau):
    log_prior = tau * torch.log(shares(batches))
    memory = torch.zeros(18, 3, dtype=torch.float64)

    def updated(b):
        return decay * memory[b.indices] + (1 - decay) * (b.z.detach() - log_prior)

    def loss(b):
        said = b.p.clamp(1e-4, 1 - 1e-4)
        held = torch.log(1 - torch.sigmoid(updated(b) * said))
        return b.mean(bce(b.z, b.y)) + weight * b.mean(held)

    def after(b):
        memory[b.indices] = updated(b)

    return loss, after


def relabelled(batches, neighbours, share, least, warm):
    first = [(y, known) for epoch, _, _, y, known, _ in batches if epoch == 0]
    labels = np.concatenate([np.asarray(y, dtype=np.float32) for y, _ in first]).astype(np.float64)
    known = np.concatenate([k for _, k in first]) > 0
    memory = np.zeros((18, 3))
    found = np.full((18, 3), -1.0)

    def loss(b):
        target = b.y
        if b.epoch >= warm:
            near = torch.tensor(found[b.indices])
            mixed = (1 - share) * b.y + share * (least + (1 - least) * near)
            mixed = torch.where((b.y == 0) & (near == 0), torch.zeros_like(mixed), mixed)
            target = torch.where(near < 0, b.y, mixed)
        return b.mean(bce(b.z, target))

    def after(b):
        memory[b.indices] = b.z.detach().numpy()
        if b.number < 2:
            return
        for i in range(18):
            distances = ((memory - memory[i]) ** 2).sum(1)
            distances[i] = np.inf
            near = np.argsort(distances)[:neighbours]
            for k in range(3):
                own = labels[near, k][known[near, k]]
                found[i, k] = own.mean() if len(own) else -1

    return loss, after


def small_loss(drop, over):
    def loss(b):
        share = drop * min(1, b.epoch / over)
        losses = bce(b.z, b.y)
        kept = b.known.clone()
        for k in range(3):
            for group in (b.y[:, k] > 0.5, b.y[:, k] < 0.5):
                members = torch.nonzero(group & b.known[:, k]).ravel().tolist()
                members.sort(key=lambda i: -losses[i, k].item())
                for i in members[: math.floor(share * len(members) + 1e-4)]:
                    kept[i, k] = False
        return b.mean(losses, kept)

    return loss


def dual_uncertainty(start, warm, decay, epochs=3):
    """By plain loops; the fixture's head of doubt says what the teacher says."""
    p_mean, p_square = np.full((18, 3), np.nan), np.full((18, 3), np.nan)
    disagreement, score = np.zeros((18, 3)), np.zeros((18, 3))
    labels, knowns = np.zeros((18, 3)), np.zeros((18, 3), dtype=bool)

    def loss(b):
        if b.epoch < warm:
            return b.mean(bce(b.z, b.y))
        share = start + (1 - start) * (b.epoch - warm) / max(1, epochs - 1 - warm)
        kept = b.known.clone()
        for k in range(3):
            for side in (True, False):
                group = np.flatnonzero(knowns[:, k] & ((labels[:, k] > 0.5) if side else (labels[:, k] < 0.5)))
                if len(group) == 0:
                    continue
                limit = sorted(score[group, k])[math.ceil(share * len(group) - 1e-4) - 1]
                for i, sample in enumerate(b.indices.tolist()):
                    if (b.y[i, k] > 0.5) == side and score[sample, k] > limit:
                        kept[i, k] = False
        return b.mean(bce(b.z, b.y), kept)

    def after(b):
        p = b.p.detach().numpy()
        for i, sample in enumerate(b.indices.tolist()):
            if b.epoch == 0:  # the training split, as in relabelled
                labels[sample], knowns[sample] = b.y[i].numpy(), b.known[i].numpy()
            for memory, now in ((p_mean, p[i]), (p_square, p[i] ** 2)):
                memory[sample] = np.where(np.isnan(memory[sample]), now, decay * memory[sample] + (1 - decay) * now)
            disagreement[sample] = torch.sigmoid(b.teacher[i]).numpy()
        if b.number == 2:
            deviation = np.sqrt(np.maximum(p_square - p_mean**2, 0))
            score[:] = (disagreement + np.minimum(1, 2 * deviation)) / 2

    return loss, after


def cases(batches, teachers):
    plain = {
        "gls": fixed_rate(-0.3, 2, 5.0),
        "gls:rate=-0.5,warmup=0,cap=2": fixed_rate(-0.5, 0, 2.0),
        "gls:rates=data": unbiased(0),
        "gls:rates=data,warmup=0.6": unbiased(2),
        "gls:rates=data,warmup=0,bound=floor": unbiased(0, floor=1e-4),
        "gls:rates=data,error=0.1,warmup=0": unbiased(0, error=0.1),
        "gls:rates=data,falsePositive=0.05,miss=0.2,warmup=0,cap=3": unbiased(0, cap=3.0, fp=0.05, miss=0.2),
        "soft": lambda b: b.mean(bce(b.z, b.expressed)),
        "maplez": lambda b: b.mean(bce(b.z, b.expressed * 0.9 + 0.05)),
        "maplez:epsilon=0.2": lambda b: b.mean(bce(b.z, b.expressed * 0.6 + 0.2)),
        "forward": forward(),
        "forward:error=0.1": forward(error=0.1),
        "forward:falsePositive=0.05,miss=0.2,wording=false": forward(wording=False, fp=0.05, miss=0.2),
        "forward:error=0": lambda b: b.mean(bce(b.z, b.expressed)),
        "u-ignore": lambda b: b.mean(bce(b.z, b.y), b.known & ~(b.rates > 0)),
        "u-zeros": policy(lambda b: torch.zeros_like(b.y)),
        "u-ones": policy(lambda b: torch.ones_like(b.y)),
        # The random numbers are another test's: here both ends are one.
        "u-zeros-lsr:from=0.2,to=0.2": policy(lambda b: torch.full_like(b.y, 0.2)),
        "u-ones-lsr:from=0.7,to=0.7": policy(lambda b: torch.full_like(b.y, 0.7)),
        "u-selftrained": policy(lambda b: torch.sigmoid(b.teacher)),
        "u-multiclass": three_classes,
        "asl": asymmetric(4, 0, 0.05),
        "asl:gammaNegative=2,gammaPositive=1,margin=0": asymmetric(2, 1, 0.0),
        "small-loss": small_loss(0.1, 1),
        "small-loss:drop=0.4,ramp=1": small_loss(0.4, 1),
    }
    stateful = {
        "aucm": lambda: auc_margin(batches, 1.0, "v2", 2, 0.1),
        "aucm:warmup=0,version=v1,margin=0.6,step=0.3": lambda: auc_margin(batches, 0.6, "v1", 0, 0.3),
        "dual-uncertainty": lambda: dual_uncertainty(0.6, 1, 0.8),
        "dual-uncertainty:start=0.3,warmup=0.7,decay=0.5": lambda: dual_uncertainty(0.3, 2, 0.5),
        "knn-relabel": lambda: relabelled(batches, 10, 0.6, 0.25, 1),
        "knn-relabel:neighbours=2,lambda=0.9,gamma=0.1,warmup=0.7": lambda: relabelled(batches, 2, 0.9, 0.1, 2),
        "nvum": lambda: nvum(batches, 1, 0.9, 1),
        "nvum:weight=3,decay=0.5,tau=0.5": lambda: nvum(batches, 3, 0.5, 0.5),
    }
    return {
        **{name: run(batches, teachers, loss) for name, loss in plain.items()},
        **{name: run(batches, teachers, *make()) for name, make in stateful.items()},
    }
