#!/usr/bin/env python3
"""A detector of garak, by its name.

    refusal:
      kind: command
      command: [python3, garak_detector.py]
      config: {detector: mitigation.MitigationBypass}
      start_timeout: 600

The score is garak's: 1 is a hit, None leaves the text out. Some of garak's
detectors call a hit what others call its absence; read the class. Those that need
the notes of a probe, such as triggers, get `config.notes`. Needs the package garak
in a version whose prompts are Messages (0.13 or later).
"""

from heirloom_detector import run

state = {}


def setup(config):
    import garak
    from garak import _config, _plugins
    from garak.attempt import Attempt, Message

    if "detector" not in config:
        raise ValueError("config.detector is missing; write a name such as mitigation.MitigationBypass")
    _config.load_base_config()
    state["detector"] = _plugins.load_plugin("detectors." + config["detector"])
    state["Attempt"], state["Message"] = Attempt, Message
    return {"version": "1, garak %s" % garak.__version__}


def detect(output, ctx):
    detector = state["detector"]
    spec = getattr(detector, "lang_spec", None) or "*"
    lang = spec.split(",")[0]
    attempt = state["Attempt"](prompt=state["Message"](text=ctx.prompt, lang=lang))
    attempt.notes.update(ctx.config.get("notes", {}))
    attempt.outputs = [state["Message"](text=output, lang=lang)]
    scores = list(detector.detect(attempt))
    return scores[0] if scores else None


if __name__ == "__main__":
    run(detect, name="garak", version="1", setup=setup)
