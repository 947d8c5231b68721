#!/usr/bin/env python3
"""Writes Axolotl's configuration for one training and runs it.

YAML takes JSON, so nothing beside the standard library is needed here. Settings
of your own go into settings.json beside this file; they are laid over these.
"""
import json
import os
import sys

with open(os.path.join(os.environ["HEIRLOOM_OUT_DIR"], "request.json"), encoding="utf-8") as f:
    request = json.load(f)

rows = {"path": request["train_file"], "ds_type": "json"}
if request["format"] == "chat":
    rows.update(type="chat_template", field_messages="messages", roles_to_train=["assistant"], train_on_eos="turn")
elif request["format"] == "text":
    rows.update(type="completion", field="text")
else:
    sys.exit(f"rows of format {request['format']} are not read by this script: use format: chat or text")

config = {
    "base_model": request["base_model"],
    "datasets": [rows],
    "dataset_prepared_path": os.path.join(request["out_dir"], "prepared"),
    "val_set_size": 0,
    "output_dir": request["out_dir"],
    "seed": request["seed"],
    "num_epochs": request["epochs"],
    "learning_rate": request["learning_rate"],
    "adapter": "lora",
    "lora_r": 16,
    "lora_alpha": 32,
    "lora_target_linear": True,
    "sequence_len": 1024,
    "micro_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "optimizer": "adamw_torch",
    "lr_scheduler": "cosine",
    "warmup_ratio": 0.05,
    "bf16": "auto",
    "logging_steps": 1,
    "save_strategy": "epoch",
    "save_safetensors": True,
}
if request["parent_artifact"]:
    if request["mode"] != "continue" or request["parent_kind"] != "lora":
        sys.exit(f"mode {request['mode']} from a parent of kind {request['parent_kind']} is not done by this script")
    config["lora_model_dir"] = request["parent_artifact"]
own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "settings.json")
if os.path.exists(own):
    with open(own, encoding="utf-8") as f:
        config.update(json.load(f))

path = os.path.join(request["out_dir"], "axolotl.yml")
with open(path, "w", encoding="utf-8") as f:
    json.dump(config, f, indent=2)
os.execvp("axolotl", ["axolotl", "train", path])
