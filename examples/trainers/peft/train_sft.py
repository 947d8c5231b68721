#!/usr/bin/env python3
"""Trains a LoRA adapter with transformers and PEFT, in one plain loop.

heirloom starts it in the folder of an attempt and tells it everything in
request.json. It leaves adapter_model.safetensors (or full weights, in mode
merge), metrics.jsonl and result.json.
"""
import argparse
import json
import math
import os
import sys
import time

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA begins: makes matrix products repeatable
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer


def log(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def read_request():
    with open(os.path.join(os.environ["HEIRLOOM_OUT_DIR"], "request.json"), encoding="utf-8") as f:
        return json.load(f)


def read_rows(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def encode(tokenizer, row, longest):
    """Gives token ids and labels of a row; -100 marks what has no loss."""
    ids, labels = [], []

    def add(text, learned):
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids.extend(tokens)
        labels.extend(tokens if learned else [-100] * len(tokens))

    if "text" in row:
        add(row["text"] + tokenizer.eos_token, True)
        return ids[:longest], labels[:longest]
    messages = row.get("messages") or row["prompt"] + row["completion"]
    turns = [i for i, m in enumerate(messages) if m["role"] == "assistant"]

    def conversation(turns):
        done = ""
        for i in turns:
            before = tokenizer.apply_chat_template(messages[:i], tokenize=False, add_generation_prompt=True) if i else done
            after = tokenizer.apply_chat_template(messages[: i + 1], tokenize=False)
            if not before.startswith(done) or not after.startswith(before):
                return False
            add(before[len(done):], False)
            add(after[len(before):], True)
            done = after
        return True

    # Templates that rewrite earlier turns (reasoning models do) allow for the last one alone.
    if not conversation(turns):
        ids.clear(), labels.clear()
        if not conversation(turns[-1:]):
            sys.exit("the chat template does not put a prompt before its answer, so the loss cannot be kept to the answer")
    return ids[:longest], labels[:longest]


def load_model(request, dtype, device):
    """The weights to start from: the base, or what the parent left."""
    name = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    parent, kind = request["parent_artifact"], request["parent_kind"]
    start = parent if parent and kind == "full" else request["base_model"]
    model = AutoModelForCausalLM.from_pretrained(start, **{name: dtype}).to(device)
    if parent and kind == "lora" and request["mode"] == "merge":
        model = PeftModel.from_pretrained(model, parent).merge_and_unload()
    return model


def add_adapter(model, request, options):
    if request["parent_artifact"] and request["parent_kind"] == "lora" and request["mode"] == "continue":
        return PeftModel.from_pretrained(model, request["parent_artifact"], is_trainable=True)
    return get_peft_model(model, LoraConfig(
        r=options.rank, lora_alpha=options.alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"))


def batches(rows, size, epochs, seed):
    """Yields lists of rows; each epoch has an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(math.ceil(epochs)):
        order = torch.randperm(len(rows), generator=generator).tolist()
        for at in range(0, len(order), size):
            yield [rows[i] for i in order[at: at + size]]


def padded(batch, pad, device):
    longest = max(len(ids) for ids, _, _ in batch)
    fill = lambda values, with_: values + [with_] * (longest - len(values))
    ids = torch.tensor([fill(i, pad) for i, _, _ in batch], device=device)
    mask = torch.tensor([fill([1] * len(i), 0) for i, _, _ in batch], device=device)
    labels = torch.tensor([fill(l, -100) for _, l, _ in batch], device=device)
    weights = torch.tensor([w for _, _, w in batch], device=device, dtype=torch.float32)
    return ids, mask, labels, weights


def loss_of(model, batch):
    """The mean loss in nats a trained token, rows weighted."""
    ids, mask, labels, weights = batch
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    targets = labels[:, 1:]
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100, reduction="none")
    share = (targets != -100) * weights[:, None]
    return (each * share).sum() / share.sum().clamp(min=1e-9)


def train(model, rows, pad, request, options, device):
    steps = max(1, math.floor(request["epochs"] * math.ceil(len(rows) / options.batch)))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=request["learning_rate"], weight_decay=0.0)
    warmup = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min((s + 1) / warmup, 0.5 * (1 + math.cos(math.pi * s / steps))))
    log(f"{len(rows)} rows, {steps} steps, {sum(p.numel() for p in parameters)} parameters are trained on {device}")
    model.train()
    tokens = 0
    with open(request["metrics_file"], "a", encoding="utf-8") as metrics:
        for step, batch in enumerate(batches(rows, options.batch, request["epochs"], request["seed"]), start=1):
            if step > steps:
                break
            batch = padded(batch, pad, device)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.dtype == "bfloat16"):
                loss = loss_of(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            tokens += int(batch[1].sum())
            metrics.write(json.dumps({"step": step, "total": steps, "loss": loss.item(), "epoch": step / steps * request["epochs"], "tokens": tokens}) + "\n")
            metrics.flush()
            if step == 1 or step % 10 == 0 or step == steps:
                log(f"step {step} of {steps}: loss {loss.item():.4f}")
    return tokens, loss.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--alpha", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--longest", type=int, default=1024, help="tokens of a row; longer ones are cut")
    parser.add_argument("--dtype", default="bfloat16" if torch.cuda.is_available() else "float32", choices=["bfloat16", "float32"])
    options = parser.parse_args()
    request = read_request()
    if request["learner"] not in ("sft", "sdf"):
        sys.exit(f"learner {request['learner']} is not trained by this script: it does sft and sdf")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log("torch", torch.__version__, "transformers", transformers.__version__, "on", device, "for", request["node"])
    torch.manual_seed(request["seed"])
    torch.use_deterministic_algorithms(True, warn_only=True)

    tokenizer = AutoTokenizer.from_pretrained(request["base_model"])
    rows = []
    for row in read_rows(request["train_file"]):
        ids, labels = encode(tokenizer, row, options.longest)
        if any(label != -100 for label in labels[1:]):
            rows.append((ids, labels, row.get("weight", 1.0)))
    if not rows:
        sys.exit("no row has anything to learn: are they all longer than --longest before the answer begins?")
    model = add_adapter(load_model(request, getattr(torch, options.dtype), device), request, options)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    tokens, loss = train(model, rows, pad, request, options, device)

    out = request["out_dir"]
    full = request["mode"] == "merge"
    if full:
        model = model.merge_and_unload()
        tokenizer.save_pretrained(out)
    model.save_pretrained(out)
    result = {"kind": "full" if full else "lora", "artifact": ".", "trained_tokens": tokens, "metrics": {"loss": loss}}
    with open(os.path.join(out, "result.part"), "w", encoding="utf-8") as f:
        json.dump(result, f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(os.path.join(out, "result.part"), os.path.join(out, "result.json"))
    log("wrote", ", ".join(sorted(os.listdir(out))))


if __name__ == "__main__":
    main()
