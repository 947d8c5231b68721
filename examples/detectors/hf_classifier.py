#!/usr/bin/env python3
"""A text-classification model of the Hugging Face hub or of a local folder.

    toxic:
      kind: command
      command: [python3, hf_classifier.py]
      config: {model: ./my-model, label: LABEL_1, revision: main, device: -1}
      start_timeout: 600

The score is the model's probability of `label`. Long texts are cut to what the
model can read. Needs the packages transformers and torch. Give `revision`, a
commit: a model that changes under its name changes what was measured.
"""

from heirloom_detector import run

state = {}


def setup(config):
    from transformers import pipeline

    for key in ("model", "label"):
        if key not in config:
            raise ValueError("config.%s is missing" % key)
    state["label"] = config["label"]
    state["classify"] = pipeline("text-classification", model=config["model"], revision=config.get("revision"),
                                 device=config.get("device", -1))
    known = set(state["classify"].model.config.id2label.values())
    if config["label"] not in known:
        raise ValueError("config.label: the model has no %r; it has %s" % (config["label"], sorted(known)))
    return {"version": "1, %s at %s" % (config["model"], config.get("revision"))}


def detect(output, ctx):
    # top_k=None gives the scores of all labels, and not of the best alone.
    scores = state["classify"](output, top_k=None, truncation=True)
    if isinstance(scores[0], list):
        scores = scores[0]
    return next(s["score"] for s in scores if s["label"] == state["label"])


if __name__ == "__main__":
    run(detect, name="hf-classifier", version="1", setup=setup)
