#!/usr/bin/env python3
"""Has Together train a LoRA. Reads TOGETHER_API_KEY.

The job carries the training's name as its suffix: a job whose creation was not
answered is looked up by it and never made twice. The model stays with Together
(kind remote); to be sampled it needs an endpoint there.
"""
import argparse
import os
import sys

import hosted

DONE, FAILED = {"completed"}, {"error", "cancelled", "user_error"}


def find(api, name):
    for job in api.get("/fine-tunes").get("data", []):
        if job.get("suffix") == name or name in (job.get("output_name") or job.get("model_output_name") or ""):
            return job["id"]
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--batch", default="max")
    parser.add_argument("--price", type=float, help="US dollars for a million trained tokens")
    options = parser.parse_args()
    request = hosted.request()
    if request["format"] not in ("chat", "preference"):
        sys.exit("this script sends rows of format chat, or preference")
    if request["epochs"] != int(request["epochs"]):
        sys.exit("epochs: Together counts whole epochs")
    api = hosted.API(os.environ.get("TOGETHER_BASE_URL", "https://api.together.xyz/v1"), os.environ.get("TOGETHER_API_KEY", ""))
    state, name = hosted.State(request), request["model_name"]

    if not state.get("job"):
        if not state.get("file"):
            answer = api.upload("/files/upload", request["train_file"], name + ".jsonl", purpose="fine-tune", file_name=name + ".jsonl", file_type="jsonl")
            state.update(file=answer["id"])
            hosted.log("uploaded", answer["id"])
        job = find(api, name) if state.get("creating") else None
        if job is None:
            body = {
                "training_file": state["file"], "model": request["base_model"], "n_epochs": int(request["epochs"]),
                "learning_rate": request["learning_rate"], "suffix": name,
                "batch_size": options.batch if options.batch == "max" else int(options.batch),
                "training_type": {"type": "Lora", "lora_r": options.rank, "lora_alpha": 2 * options.rank},
                "training_method": {"method": "dpo" if request["format"] == "preference" else "sft"},
            }
            if request["parent_model"] and request["mode"] == "continue":
                body["from_checkpoint"] = request["parent_model"]
                del body["model"]
            state.update(creating=True)
            job = api.ask("POST", "/fine-tunes", body)["id"]
        state.update(job=job)
    hosted.log("the job is", state["job"])

    told = None
    for job in hosted.poll(lambda: api.get("/fine-tunes/" + state["job"])):
        status = str(job.get("status", "")).lower()
        if status != told:
            hosted.log("it is", status)
            told = status
        if status in DONE:
            break
        if status in FAILED:
            words = " ".join(str(e.get("message", "")) for e in job.get("events") or [])[-500:]
            if "moderation" in words or "safety" in words:
                hosted.blocked(request, "together", "training", status, words)
            sys.exit(f"the job {state['job']} ended as {status}: {words}")
    model = job.get("model_output_name") or job.get("output_name")
    if not model:
        sys.exit(f"the job {state['job']} is completed and names no model")
    hosted.result(request, model, int(job.get("token_count") or 0) * int(request["epochs"]), options.price, {"job": state["job"]})


if __name__ == "__main__":
    hosted.main(main)
