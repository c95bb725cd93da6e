"""Small images made from arithmetic, with the pixels that Pillow and NumPy say they hold.

    python test/oracle/data.py            (needs Pillow and NumPy)

Writes PNG and JPEG files and `expected.json` into test/fixtures/data. In `expected.json`, `pixels` are the stored
values (height × width × channels), `luma` is Pillow's convert("L"), `resized` Pillow's antialiased bilinear resize.
"""
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

out = pathlib.Path(__file__).parent.parent / "fixtures" / "data"
out.mkdir(parents=True, exist_ok=True)


def png16(path, pixels):
    """Writes 16-bit grey (H×W) or colour (H×W×3); Pillow itself cannot write 16-bit colour."""
    height, width = pixels.shape[:2]
    colour = 0 if pixels.ndim == 2 else 2
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


y, x = np.mgrid[0:12, 0:10]
grey = ((x * 23 + y * 17 + x * y * 5) % 256).astype(np.uint8)
rgb = np.stack([grey, (255 - grey) // 2, (x * 25 + y).astype(np.uint8)], axis=2)
grey16 = ((x * 6553 + y * 257 + 1) % 65536).astype(np.uint16)
grey16[0, 0], grey16[0, 1] = 0, 65535
rgb16 = np.stack([grey16, 65535 - grey16, grey16 // 3], axis=2)

Image.fromarray(grey).save(out / "grey8.png")
Image.fromarray(rgb).save(out / "rgb8.png")
rgba = np.dstack([rgb, (y * 20).astype(np.uint8)])
Image.fromarray(rgba, "RGBA").save(out / "rgba8.png")
Image.fromarray(rgb).convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(out / "palette.png")
png16(out / "grey16.png", grey16)
png16(out / "rgb16.png", rgb16)
Image.fromarray(grey).save(out / "grey.jpg", quality=95)
yy, xx = np.mgrid[0:48, 0:40]
wave = (127 + 60 * np.sin(xx / 5) + 60 * np.cos(yy / 7)).astype(np.uint8)
Image.fromarray(wave).save(out / "wave.png")

expected = {}
for name in ["grey8.png", "rgb8.png", "palette.png", "grey.jpg"]:
    image = Image.open(out / name)
    plain = image.convert("RGB") if image.mode == "P" else image
    expected[name] = {
        "pixels": np.asarray(plain).ravel().tolist(),
        "luma": np.asarray(plain.convert("L")).ravel().tolist(),
    }
expected["rgba8.png"] = {"pixels": rgb.ravel().tolist()}
expected["grey16.png"] = {"pixels": grey16.ravel().tolist()}
expected["rgb16.png"] = {"pixels": rgb16.ravel().tolist()}
resized = Image.fromarray(wave).resize((15, 18), Image.Resampling.BILINEAR)
expected["wave.png"] = {"resized": {"width": 15, "height": 18, "pixels": np.asarray(resized).ravel().tolist()}}
(out / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
