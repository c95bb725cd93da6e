"""Makes test/fixtures/embeddings/*.json: what scikit-learn, umap-learn and plain NumPy say of made-up features.

    pip install numpy scipy scikit-learn umap-learn
    python test/oracle/embeddings.py

Versions used: NumPy 2.4, SciPy 1.17, scikit-learn 1.9.1, umap-learn 0.5.12. The features come from fill.py and are
computed here and in test/oracle/embeddings.ts alike, so the fixtures hold results only.
"""

import json
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.manifold._t_sne import _joint_probabilities_nn
from sklearn.metrics import silhouette_samples, silhouette_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from umap import UMAP
from umap.umap_ import find_ab_params, fuzzy_simplicial_set

from fill import summary, uniform

OUT = Path(__file__).parent.parent / "fixtures" / "embeddings"

# Samples of each class, dimensions, half the width of the noise, what is added to everything.
MEASURED = {
    "clusters": dict(counts=[40, 30, 20, 35], d=20, noise=2, offset=0),
    "one sample, and a class without any": dict(counts=[12, 1, 0, 9, 18], d=6, noise=1, offset=0),
    "more dimensions than samples": dict(counts=[14, 11, 15], d=70, noise=2, offset=0),
    "far from the origin": dict(counts=[25, 25], d=8, noise=2, offset=4096),
}


def features(name, counts, d, noise, offset):
    """Centre + noise + offset, each rounded to float32. Noise and offset are powers of two, so only sums round."""
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = uniform(f"centres of {name}", (len(counts), d))
    values = uniform(f"noise of {name}", (len(labels), d)) * np.float32(noise) + centres[labels]
    return values + np.float32(offset), labels


def vote(neighbours, labels, classes):
    """The commonest class, of several the lowest: argmax takes the first."""
    return [int(np.bincount(labels[row], minlength=classes).argmax()) for row in neighbours]


def measures(name, spec):
    x32, y = features(name, **spec)
    x, classes, k = x32.astype(np.float64), len(spec["counts"]), 5
    d = cdist(x, x)
    different = ~np.eye(len(y), dtype=bool)
    same = (y[:, None] == y[None, :]) & different
    other = y[:, None] != y[None, :]
    silhouettes = silhouette_samples(x, y)
    half = np.arange(len(y)) % 2 == 0
    result = dict(
        name=name,
        **spec,
        k=k,
        within=float(d[same].mean()),
        between=float(d[other].mean()),
        classWithin=[
            float(d[np.ix_(y == c, y == c)][~np.eye((y == c).sum(), dtype=bool)].mean()) if (y == c).sum() > 1 else None
            for c in range(classes)
        ],
        silhouette=float(silhouette_score(x, y)),
        classSilhouette=[float(silhouettes[y == c].mean()) if (y == c).any() else None for c in range(classes)],
        silhouettes=silhouettes.tolist(),
    )
    for metric in ("euclidean", "cosine"):
        nearest = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(x)
        result[metric] = dict(
            leaveOneOut=vote(nearest.kneighbors(return_distance=False), y, classes),  # of every row, without itself
            # Fitted on every other row, judged on the rest.
            gallery=KNeighborsClassifier(k, metric=metric, algorithm="brute")
            .fit(x[half], y[half])
            .predict(x[~half])
            .tolist(),
        )
    return result


def ties():
    """Points of a small grid, most of them several times: the nearest of a stable sort, lower rows first."""
    x = np.floor(uniform("grid", (80, 2), 0, 4)).astype(np.float64)
    y = np.floor(uniform("grid labels", (80,), 0, 3)).astype(int)
    squares = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(squares, np.inf)
    order = np.argsort(squares, axis=1, kind="stable")[:, :7]
    return dict(
        indices=order.ravel().tolist(),
        distances=np.sqrt(np.take_along_axis(squares, order, 1)).ravel().tolist(),
        votes=vote(order, y, 3),
    )


def pca(name, k):
    x, _ = features(name, **MEASURED[name])
    fitted = PCA(k, svd_solver="full").fit(x.astype(np.float64))
    scores = fitted.transform(x.astype(np.float64))
    return dict(name=name, k=k, variances=fitted.explained_variance_.tolist(), scores=scores.ravel().tolist())


PICTURE = dict(counts=[60, 50, 40, 70, 30, 50], d=16, noise=1, offset=0)


def pictures():
    x, _ = features("picture", **PICTURE)
    x = x.astype(np.float64)
    n, perplexity, neighbours = len(x), 20.0, 15

    distances = NearestNeighbors(n_neighbors=int(3 * perplexity + 1)).fit(x).kneighbors_graph(mode="distance")
    distances.data **= 2
    distances.sort_indices()
    p = _joint_probabilities_nn(distances, perplexity, 0).toarray()
    drawn = TSNE(perplexity=perplexity, init="pca", random_state=0).fit(x.astype(np.float32))

    order = np.argsort(cdist(x, x), axis=1, kind="stable")[:, :neighbours]  # itself first, as umap-learn has it
    nearest = np.take_along_axis(cdist(x, x), order, 1)
    graph, _, _ = fuzzy_simplicial_set(
        x, neighbours, np.random.RandomState(0), "euclidean", knn_indices=order, knn_dists=nearest.astype(np.float32)
    )
    mapped = UMAP(n_neighbors=neighbours, random_state=0, init="pca").fit_transform(x)

    return dict(
        **PICTURE,
        perplexity=perplexity,
        neighbours=neighbours,
        similarities=dict(count=int((p > 0).sum()), **summary("similarities", p)),
        memberships=dict(count=int(graph.nnz), **summary("memberships", graph.toarray())),
        tsne=dict(
            points=np.round(drawn.embedding_.astype(np.float64), 4).ravel().tolist(),
            kl=float(drawn.kl_divergence_),
            trustworthiness=float(trustworthiness(x, np.round(drawn.embedding_, 4), n_neighbors=12)),
        ),
        umap=dict(
            points=np.round(mapped.astype(np.float64), 4).ravel().tolist(),
            trustworthiness=float(trustworthiness(x, np.round(mapped, 4), n_neighbors=12)),
        ),
        curves=[dict(minDistance=m, ab=[float(v) for v in find_ab_params(1.0, m)]) for m in (0.0, 0.1, 0.5, 0.99)],
    )


def write(name, value):
    (OUT / f"{name}.json").write_text(json.dumps(value) + "\n")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    write("measures", dict(cases=[measures(name, spec) for name, spec in MEASURED.items()], ties=ties()))
    write("pca", [pca("clusters", 6), pca("more dimensions than samples", 40), pca("far from the origin", 8)])
    write("pictures", pictures())
