"""Writes images/ and images.json: small images of every form, and what transformers' processors make of them.

    pip install pillow==13.0.0 transformers==5.23.0 && python test/conformance/graphs/images.py

Processors are those that work with Pillow ("slow"), configured as a preprocessor_config.json would. Every image is given
to them as RGB or, for one channel, as L, by Pillow's convert: that drops alpha, where transformers of this version lays
a transparent image on white. Two images are not what Pillow reads: of 16-bit gray the high byte is kept, as it is of
16-bit colour (Pillow clips), and the reference is made of the image that was written.
"""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

HERE = Path(__file__).parent
FOLDER = HERE / "images"

PROCESSORS = {
    "vit": (ViTImageProcessorPil, {"size": {"height": 12, "width": 10}}),
    "clip": (CLIPImageProcessorPil, {"size": {"shortest_edge": 12}, "crop_size": {"height": 12, "width": 12}}),
    "clip, numbers": (CLIPImageProcessorPil, {"size": 11, "crop_size": 9}),
    "clip, a crop that is larger": (
        CLIPImageProcessorPil,
        {"size": {"shortest_edge": 7}, "crop_size": {"height": 10, "width": 14}},
    ),
    "deit": (DeiTImageProcessorPil, {"size": {"height": 13, "width": 13}, "crop_size": {"height": 8, "width": 8}}),
    "lanczos, not normalized": (ViTImageProcessorPil, {"size": 9, "resample": 1, "do_normalize": False}),
    "nearest, not rescaled": (ViTImageProcessorPil, {"size": 9, "resample": 0, "do_rescale": False}),
    "gray": (
        ViTImageProcessorPil,
        {"size": 8, "image_mean": [0.5], "image_std": [0.25], "rescale_factor": 1 / 16},
    ),
    "as it is": (
        ViTImageProcessorPil,
        {"do_resize": False, "size": {"height": 23, "width": 31}, "image_mean": [0.4, 0.5, 0.6]},
    ),
}


def colours(height=23, width=31):
    """Waves of colour: no two rows or columns alike, and smooth, as photographs are."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 4 + y / 9), np.sin(x / 7 - y / 3 + 1), np.cos((x * y) / 60)]
    return np.stack([np.round(127.5 + 127 * wave) for wave in waves], axis=-1).astype(np.uint8)


def png(bits, colour_type, rows):
    """A PNG of 16 bits per channel, which Pillow does not write."""
    height, width = rows.shape[:2]
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def save(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def images():
    rgb = Image.fromarray(colours())
    alpha = Image.fromarray(np.dstack([colours(), colours()[..., 1]]))
    exif = Image.Exif()
    exif[0x0112] = 6
    high = colours().astype(np.uint16) * 256 + 77
    return {
        "colour.png": save(rgb, "PNG", optimize=True),
        "gray.png": save(rgb.convert("L"), "PNG", optimize=True),
        "black-and-white.png": save(rgb.convert("1"), "PNG", optimize=True),
        "palette.png": save(rgb.quantize(32), "PNG", optimize=True),
        "palette-transparent.png": save(rgb.quantize(32), "PNG", optimize=True, transparency=3),
        "alpha.png": save(alpha, "PNG", optimize=True),
        "gray-alpha.png": save(alpha.convert("LA"), "PNG", optimize=True),
        "colour-16-bit.png": png(16, 2, high),
        "gray-16-bit.png": png(16, 0, high[..., 0]),
        "colour.jpg": save(rgb, "JPEG", quality=90),
        "gray.jpg": save(rgb.convert("L"), "JPEG", quality=80),
        "subsampled-turned.jpg": save(rgb, "JPEG", quality=70, subsampling=2, exif=exif),
        "progressive.jpg": save(rgb, "JPEG", quality=85, progressive=True),
        "cmyk.jpg": save(rgb.convert("CMYK"), "JPEG", quality=95),
        "lossy.webp": save(rgb, "WEBP", quality=80),
        "lossless.webp": save(alpha, "WEBP", lossless=True, exact=True),
        "animated.webp": save(rgb, "WEBP", lossless=True, save_all=True, append_images=[rgb.rotate(180)]),
    }


def read(name, mode):
    if name == "gray-16-bit.png":
        return Image.fromarray(colours()[..., 0]).convert(mode)
    with Image.open(FOLDER / name) as image:
        return image.convert(mode)


def case(name, processor_name):
    kind, options = PROCESSORS[processor_name]
    processor = kind(**options)
    # Without what is so by default, as older versions write it, so that defaults count.
    config = {"image_processor_type": kind.__name__.removesuffix("Pil")} | options
    mode = "L" if processor_name == "gray" else "RGB"
    values = processor.preprocess(read(name, mode), do_convert_rgb=False, return_tensors="np")["pixel_values"][0]
    return {
        "image": name,
        "processor": processor_name,
        "config": config,
        "shape": list(values.shape),
        "f32": base64.b64encode(values.astype("<f4").tobytes()).decode(),
    }


FOLDER.mkdir(exist_ok=True)
for name, data in images().items():
    (FOLDER / name).write_bytes(data)
cases = [case("colour.png", name) for name in PROCESSORS]
cases += [case(name, "clip") for name in images() if name != "colour.png"]
cases += [case(name, "gray") for name in ("gray.png", "gray.jpg", "alpha.png", "gray-16-bit.png")]
versions = f"Pillow {PIL.__version__}, transformers {transformers.__version__}"
lines = ",\n".join(json.dumps(each) for each in cases)
(HERE / "images.json").write_text(f'{{\n"made_by": "{versions}",\n"cases": [\n{lines}\n]\n}}\n')
