#!/usr/bin/env python3
"""Words of the config, with spans: the smallest useful detector in Python."""

import re

from heirloom_detector import run


def detect(output, ctx):
    words = ctx.config.get("words", ["lattice", "spiral"])
    hits = [m.span() for m in re.finditer("|".join(map(re.escape, words)), output, re.IGNORECASE)]
    return {
        "score": 1 - 2 ** -len(hits),  # one hit: 0.5
        "spans": hits,
        "reason": ", ".join(output[start:end] for start, end in hits[:5]),
    }


if __name__ == "__main__":
    run(detect, name="lattice", version="1")
