#!/usr/bin/env python3
"""A scorer of Inspect (inspect_ai), by its module and name.

    says-lattice:
      kind: command
      command: [python3, inspect_scorer.py]
      config: {scorer: "inspect_ai.scorer:includes", args: {}, target: lattice}

`scorer` is MODULE:FUNCTION, or FILE.py:FUNCTION beside this file; `args` go to the
function, `target` is what the scorer compares with. What it calls correct (C, true,
1) is present, partial (P) is 0.5, incorrect (I) is absent; no answer (N), NaN and no
score at all are not scorable. A score of several values needs `value`, the key of
the one that counts. For a scorer that asks a model, write deterministic: false in the config.
Needs the package inspect_ai.
"""

import asyncio
import importlib
import importlib.util
import math
import os

from heirloom_detector import run

state = {}
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": None}


def load(name):
    where, _, function = name.rpartition(":")
    if not where:
        raise ValueError("config.scorer: %r is not MODULE:FUNCTION" % name)
    if where.endswith(".py"):
        spec = importlib.util.spec_from_file_location(os.path.basename(where)[:-3], where)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(where)
    return getattr(module, function)


def setup(config):
    if "scorer" not in config:
        raise ValueError("config.scorer is missing; write MODULE:FUNCTION")
    state["score"] = load(config["scorer"])(**config.get("args", {}))
    return {"deterministic": config.get("deterministic", True)}


def task_state(output, ctx):
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, ModelName, ModelOutput
    from inspect_ai.solver import TaskState

    kinds = {"user": ChatMessageUser, "system": ChatMessageSystem, "assistant": ChatMessageAssistant}
    messages = [kinds.get(m["role"], ChatMessageUser)(content=m["content"]) for m in ctx.messages]
    messages.append(ChatMessageAssistant(content=output))
    return TaskState(model=ModelName("none/none"), sample_id=1, epoch=1, input=ctx.prompt, messages=messages,
                     output=ModelOutput.from_content(model="none/none", content=output))


def detect(output, ctx):
    from inspect_ai.scorer import Target

    score = asyncio.run(state["score"](task_state(output, ctx), Target(ctx.config.get("target", ""))))
    value = None if score is None else score.value
    if isinstance(value, dict):
        value = value[ctx.config["value"]]
    if isinstance(value, str):
        value = LETTERS[value] if value in LETTERS else float(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return {"score": float(value), "reason": score.explanation}


if __name__ == "__main__":
    run(detect, name="inspect", version="1", setup=setup)
