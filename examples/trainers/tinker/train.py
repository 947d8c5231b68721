#!/usr/bin/env python3
"""Trains with Tinker: the loop runs here, the weights are on its machines.

Its SDK (pip install tinker) reads TINKER_API_KEY. The model stays there, so
result.json names it (kind remote). Every --save steps the state is saved and
written down, and a training that was cut off goes on from there.
"""
import argparse
import json
import math
import os
import random
import sys
import time

import tinker
from tinker import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "hosted"))
import hosted


def datum(tokenizer, messages, longest):
    """The tokens of a conversation, the loss on its last assistant turn."""
    before = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    if not whole.startswith(before):
        sys.exit("the chat template does not put a prompt before its answer, so the loss cannot be kept to the answer")
    prompt = tokenizer(before, add_special_tokens=False)["input_ids"]
    answer = tokenizer(whole[len(before):], add_special_tokens=False)["input_ids"]
    tokens = (prompt + answer)[:longest]
    weights = ([0.0] * len(prompt) + [1.0] * len(answer))[:longest]
    return types.Datum(
        model_input=types.ModelInput.from_ints(tokens=tokens[:-1]),
        loss_fn_inputs={"weights": weights[1:], "target_tokens": tokens[1:]}), len(tokens), weights[1:]


def mean_loss(output, batch):
    """Nats a trained token."""
    total = weight = 0.0
    for out, (_, _, weights) in zip(output.loss_fn_outputs, batch):
        logprobs = out["logprobs"].tolist()
        total -= sum(p * w for p, w in zip(logprobs, weights))
        weight += sum(weights)
    return total / max(weight, 1e-9)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--longest", type=int, default=4096)
    parser.add_argument("--save", type=int, default=50, help="steps between saved states")
    parser.add_argument("--price", type=float, help="US dollars for a million trained tokens")
    options = parser.parse_args()
    request = hosted.request()
    if request["format"] != "chat":
        sys.exit("this script reads rows of format chat")

    service = tinker.ServiceClient()
    state = hosted.State(request)
    if state.get("saved"):
        trainer = service.create_training_client_from_state_with_optimizer(state["saved"])
    elif request["parent_model"] and request["mode"] == "continue":
        trainer = service.create_training_client_from_state(request["parent_model"].replace("/sampler_weights/", "/weights/"))
    else:
        trainer = service.create_lora_training_client(base_model=request["base_model"], rank=options.rank, seed=request["seed"])
    tokenizer = trainer.get_tokenizer()
    rows = [datum(tokenizer, row["messages"], options.longest) for row in hosted.rows(request)]

    each = math.ceil(len(rows) / options.batch)
    steps = max(1, math.floor(request["epochs"] * each))
    tokens = state.get("tokens", 0)
    for step in range(state.get("step", 0), steps):
        order = list(range(len(rows)))
        random.Random(f"{request['seed']} {step // each}").shuffle(order)
        at = step % each * options.batch
        batch = [rows[i] for i in order[at: at + options.batch]]
        rate = request["learning_rate"] * (1 - step / steps)
        forward = trainer.forward_backward([d for d, _, _ in batch], loss_fn="cross_entropy")
        update = trainer.optim_step(types.AdamParams(learning_rate=rate, beta1=0.9, beta2=0.95, eps=1e-8))
        output = forward.result()
        update.result()
        tokens += sum(n for _, n, _ in batch)
        hosted.metric(request, step=step + 1, total=steps, loss=mean_loss(output, batch), epoch=(step + 1) / each, tokens=tokens)
        if (step + 1) % options.save == 0 and step + 1 < steps:
            saved = trainer.save_state(f"{request['model_name']}-{step + 1}").result().path
            state.update(saved=saved, step=step + 1, tokens=tokens)
    trainer.save_state(request["model_name"]).result()
    path = trainer.save_weights_for_sampler(request["model_name"]).result().path
    hosted.log("the model is", path)
    hosted.result(request, model=path, tokens=tokens, price=options.price)


if __name__ == "__main__":
    main()
