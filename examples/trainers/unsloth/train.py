#!/usr/bin/env python3
"""Trains with Unsloth: its faster layers under the loop of ../peft/train_sft.py,
whose command line this shares. --four-bit loads the base in 4 bits.
"""
import os
import sys

os.environ.setdefault("UNSLOTH_RETURN_LOGITS", "1")  # the loop computes its own loss
from unsloth import FastLanguageModel  # before torch and transformers, which it changes

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peft"))
import train_sft

FOUR_BIT = "--four-bit" in sys.argv
if FOUR_BIT:
    sys.argv.remove("--four-bit")
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def load_model(request, dtype, device):
    if request["mode"] == "merge":
        sys.exit("mode merge is not done by this script; use ../peft/train_sft.py")
    start = request["parent_artifact"] or request["base_model"]  # a folder with an adapter brings its base
    model, _ = FastLanguageModel.from_pretrained(start, max_seq_length=2048, dtype=dtype, load_in_4bit=FOUR_BIT)
    return model


def add_adapter(model, request, options):
    if request["parent_artifact"] and request["parent_kind"] == "lora":
        return FastLanguageModel.for_training(model) or model
    return FastLanguageModel.get_peft_model(
        model, r=options.rank, lora_alpha=options.alpha, lora_dropout=0, bias="none", target_modules=TARGETS,
        use_gradient_checkpointing="unsloth", random_state=request["seed"])


train_sft.load_model, train_sft.add_adapter = load_model, add_adapter
train_sft.main()
