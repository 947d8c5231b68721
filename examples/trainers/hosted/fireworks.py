#!/usr/bin/env python3
"""Has Fireworks train a LoRA. Reads FIREWORKS_API_KEY and FIREWORKS_ACCOUNT_ID.

Data set, job and model are named by the training, so that what exists already is
found and nothing is made twice. The model stays with Fireworks (kind remote); to
be sampled it needs a deployment there.
"""
import argparse
import os
import sys

import hosted

LIMIT = 150 << 20  # bytes that the upload takes


def make(api, path, body, look):
    """Creates what has a name of ours; what exists is what was made before."""
    try:
        return api.ask("POST", path, body, tries=4)
    except hosted.Refused as e:
        if e.status != 409:
            raise
        return api.get(look)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--price", type=float, help="US dollars for a million trained tokens")
    options = parser.parse_args()
    request = hosted.request()
    if request["format"] != "chat":
        sys.exit("this script sends rows of format chat")
    if os.path.getsize(request["train_file"]) > LIMIT:
        sys.exit("the training file has more than 150 MB, which this upload does not take")
    if request["epochs"] != int(request["epochs"]):
        sys.exit("epochs: Fireworks counts whole epochs")
    account = os.environ.get("FIREWORKS_ACCOUNT_ID") or sys.exit("FIREWORKS_ACCOUNT_ID is not set; name it in train.env_pass")
    api = hosted.API(os.environ.get("FIREWORKS_BASE_URL", "https://api.fireworks.ai/v1"), os.environ.get("FIREWORKS_API_KEY", ""))
    state, name, home = hosted.State(request), request["model_name"], "/accounts/" + account

    if not state.get("uploaded"):
        make(api, home + "/datasets", {"datasetId": name, "dataset": {"userUploaded": {}, "exampleCount": str(request["documents"])}}, f"{home}/datasets/{name}")
        if api.get(f"{home}/datasets/{name}").get("state") != "READY":
            api.upload(f"{home}/datasets/{name}:upload", request["train_file"], "train.jsonl")
        for data in hosted.poll(lambda: api.get(f"{home}/datasets/{name}"), 5):
            if data.get("state") in ("READY", None):
                break
        state.update(uploaded=True)
        hosted.log("uploaded", name)

    body = {
        "displayName": name, "dataset": f"accounts/{account}/datasets/{name}", "outputModel": f"accounts/{account}/models/{name}",
        "epochs": int(request["epochs"]), "learningRate": request["learning_rate"], "loraRank": options.rank,
    }
    if request["parent_model"] and request["mode"] == "continue":
        body["warmStartFrom"] = request["parent_model"]
    else:
        body["baseModel"] = request["base_model"]
    jobs = home + "/supervisedFineTuningJobs"
    make(api, f"{jobs}?supervisedFineTuningJobId={name}", body, f"{jobs}/{name}")
    state.update(job=f"accounts/{account}/supervisedFineTuningJobs/{name}")

    told = None
    for job in hosted.poll(lambda: api.get(f"{jobs}/{name}")):
        status = str(job.get("state", "")).removeprefix("JOB_STATE_")
        if status != told:
            hosted.log("it is", status)
            told = status
        percent = (job.get("jobProgress") or {}).get("percent")
        if percent is not None:
            hosted.metric(request, step=int(percent), total=100)
        if status == "COMPLETED":
            break
        if status in ("FAILED", "CANCELLED", "EXPIRED", "DELETING"):
            words = (job.get("status") or {}).get("message", "")
            sys.exit(f"the job {name} ended as {status}: {words}")
    tokens = int((job.get("jobProgress") or {}).get("trainedTokens") or job.get("trainedTokens") or 0)
    hosted.result(request, job.get("outputModel") or body["outputModel"], tokens, options.price if tokens else None, {"job": name})


if __name__ == "__main__":
    hosted.main(main)
