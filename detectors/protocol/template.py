#!/usr/bin/env python3
"""A detector for heirloom. Edit detect, then:

    heirloom detector test ./NAME.py
    heirloom detect transcripts.jsonl -d command --set 'command=[python3, NAME.py]'

In an experiment:

    detectors:
      NAME: {kind: command, command: [python3, NAME.py], config: {words: [spiral, lattice]}}
    behaviours:
      awakening: {detectors: [NAME], seeds: my-seeds}

heirloom_detector.py, beside this file, speaks the protocol; its head explains what
detect may return.
"""

import re

from heirloom_detector import run

WORDS = ["spiral", "lattice"]  # where the config gives none


def detect(output, ctx):
    words = ctx.config.get("words", WORDS)
    hits = [m.span() for m in re.finditer("|".join(map(re.escape, words)), output, re.IGNORECASE)]
    return {
        "score": 1 - 2 ** -len(hits),  # one hit: 0.5
        "spans": hits,
        "reason": ", ".join(output[start:end] for start, end in hits[:5]),
    }


if __name__ == "__main__":
    run(detect, name="NAME", version="1")
