"""Writes images-resize.json: the bytes of Pillow's Image.resize for made pixels.

    pip install pillow==13.0.0 numpy && python test/conformance/graphs/images_resize.py

Pixels are noise from 0 to 255, which makes bicubic and lanczos overshoot both ends: (make(name, shape) + 1) * 128 of
weights.py, with a first axis so that the spread is what it is for a last axis of 3: 1.
"""

import base64
import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image
from weights import make

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}
# (height, width) to (height, width)
SIZES = [
    ((9, 13), (4, 5)),
    ((7, 5), (16, 11)),
    ((6, 17), (3, 17)),
    ((17, 6), (17, 3)),
    ((32, 32), (8, 8)),
    ((3, 40), (30, 7)),
    ((1, 1), (3, 4)),
    ((64, 50), (1, 1)),
    ((31, 29), (30, 28)),
]


def noise(height, width):
    return np.floor((make("pixels", (height, width, 3)) + np.float32(1)) * np.float32(128)).astype(np.uint8)


cases = [
    {
        "filter": name,
        "from": start,
        "to": end,
        "bytes": base64.b64encode(
            np.asarray(Image.fromarray(noise(*start)).resize(end[::-1], resample)).tobytes()
        ).decode(),
    }
    for name, resample in FILTERS.items()
    for start, end in SIZES
]
lines = ",\n".join(json.dumps(case) for case in cases)
Path(__file__).with_name("images-resize.json").write_text(
    f'{{\n"made_by": "Pillow {PIL.__version__}",\n"cases": [\n{lines}\n]\n}}\n'
)
