"""Libraries of any size to measure on, made from the one that comes along."""

from __future__ import annotations

import random
from pathlib import Path

from service.demo.replay import LIBRARY

WORDS = """
    invoice ledger tensor gasket orbit pollen kernel harbor violin parser quartz meadow turbine cipher lantern falcon
    glacier mosaic saddle beacon copper walnut ribbon compass anchor pepper velvet marble signal thistle
""".split()  # noqa: SIM905


def make_library(folder: Path, count: int, *, seed: int = 0) -> Path:
    """Write `count` documents below `folder`: the library that comes along, with other names and mixed-in words."""
    rng = random.Random(seed)
    originals = sorted(LIBRARY.glob("*/SKILL.md"))
    for number in range(count):
        source = originals[number % len(originals)]
        words = rng.sample(WORDS, 3)
        text = source.read_text(encoding="utf-8").replace(source.parent.name, f"{source.parent.name}-{number}")
        lines = text.splitlines()
        for word in words:
            lines.insert(rng.randrange(len(lines) // 2, len(lines)), f"See also the {word} notes on {word}-{number}.")
        target = folder / f"{source.parent.name}-{number}"
        target.mkdir(parents=True)
        (target / "SKILL.md").write_text("\n".join(lines), encoding="utf-8")
    return folder
