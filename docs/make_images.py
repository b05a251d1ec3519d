"""Make the small pictures of docs/figures.md from a finished run's figures.

    python docs/make_images.py results/demo

Full-width pictures become 1,000 pixels wide, with 256 colours; together they stay below 2 MB.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

SCALE, COLOURS = 1 / 2.1, 256


def shrink(source: Path, target: Path) -> int:
    """Write a small copy of a picture on white; returns its bytes."""
    picture = Image.open(source).convert("RGB")
    size = (round(picture.width * SCALE), round(picture.height * SCALE))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    target.parent.mkdir(parents=True, exist_ok=True)
    small.quantize(COLOURS, dither=Image.Dither.NONE, method=Image.Quantize.MAXCOVERAGE).save(
        target, optimize=True
    )
    return target.stat().st_size


def main(results: Path) -> None:
    """Shrink every figure of a dataset."""
    folder = Path(__file__).parent / "images" / "figures"
    total = 0
    for source in sorted((results / "figures").glob("*.png")):
        total += shrink(source, folder / source.name)
    sys.stdout.write(f"{folder}: {total / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
