"""Small `.npy` and `.npz` files as NumPy writes them, with the values that they hold.

    python test/oracle/data_npz.py            (needs NumPy)

Writes into test/fixtures/data: `npy.json`, arrays of several types, orders, shapes and format versions as base64, with
their values in C order, and some that must be refused; `colour.npz` in the layout of MedMNIST (compressed) and
`grey.npz` (not compressed), with their values in `npz.json`; `several.npz` with several labels an image.
"""
import base64
import io
import json
import pathlib

import numpy as np

out = pathlib.Path(__file__).parent.parent / "fixtures" / "data"


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return base64.b64encode(file.getvalue()).decode()


cases = []
shapes = [(5,), (4, 1), (2, 3), (2, 3, 2), (1, 2, 3, 3), (0, 3), ()]
types = ["|b1", "|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<u4", "<i4", ">i4", "<u8", "<i8", ">i8"]
for t, dtype in enumerate(types):
    # Every type in two dimensions, and every shape of two types.
    for s, shape in enumerate(shapes if dtype in ("|u1", ">i2") else [(2, 3)]):
        for order in "CF":
            count = int(np.prod(shape))
            low = 0 if dtype[1] in "bu" else -3
            values = np.arange(low, low + count).reshape(shape)
            array = np.array(values % 2 if dtype[1] == "b" else values, dtype=dtype, order=order)
            version = [(1, 0), (2, 0), (3, 0)][(t + s) % 3]
            cases.append(
                {
                    "name": f"{dtype} {'x'.join(map(str, shape))} {order} version {version[0]}",
                    "npy": npy(array, version),
                    "type": dtype[1:],
                    "shape": list(shape),
                    "fortran": bool(np.isfortran(array)),
                    "values": [int(v) for v in array.ravel(order="C")],
                }
            )

pair = np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f4")])
refused = {
    "objects (pickled)": npy(np.array([{"a": 1}, None], dtype=object)),
    "records": npy(pair),
    "complex numbers": npy(np.array([1j])),
    "texts": npy(np.array(["a", "bc"])),
    "dates": npy(np.array(["2020-01-01"], dtype="M8[D]")),
}
with open(out / "npy.json", "w") as file:
    json.dump({"cases": cases, "refused": refused}, file, indent=0)
    file.write("\n")

rng = np.random.default_rng(0)


def medmnist(height, width, channels, labels, classes):
    arrays = {}
    for split, n in [("train", 7), ("val", 4), ("test", 5)]:
        shape = (n, height, width) if channels == 1 else (n, height, width, channels)
        arrays[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        shape = (n, labels)
        y = np.arange(n)[:, None] % classes if labels == 1 else rng.integers(0, 2, shape)
        arrays[f"{split}_labels"] = y.astype(np.uint8)
    return arrays


colour = medmnist(5, 4, 3, 1, 3)
np.savez_compressed(out / "colour.npz", **colour)
several = medmnist(3, 3, 1, 14, 2)
np.savez_compressed(out / "several.npz", **several)
grey = medmnist(3, 2, 1, 1, 2)
# As some exports have it: columns first, and flat labels of a wider type.
grey["train_images"] = np.asfortranarray(grey["train_images"])
grey["val_labels"] = grey["val_labels"][:, 0].astype(np.int64)
np.savez(out / "grey.npz", **grey)
with open(out / "npz.json", "w") as file:
    sets = {"colour": colour, "grey": grey, "several": several}
    values = {name: {key: a.ravel(order="C").tolist() for key, a in arrays.items()} for name, arrays in sets.items()}
    json.dump(values, file)
    file.write("\n")
