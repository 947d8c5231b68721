"""What scripts that have a provider train have in common: what heirloom asks
for, a state that outlives them, and requests that are told apart by whether
they may be sent again.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

AGAIN = 75  # the exit status that asks heirloom to start the script again


def log(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def request():
    with open(os.path.join(os.environ["HEIRLOOM_OUT_DIR"], "request.json"), encoding="utf-8") as f:
        return json.load(f)


def rows(request):
    with open(request["train_file"], encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def write(path, value):
    """Writes JSON whole or not at all."""
    with open(path + ".part", "w", encoding="utf-8") as f:
        json.dump(value, f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(path + ".part", path)


class State(dict):
    """Values that the next attempt of the same training finds."""

    def __init__(self, request):
        self.folder = request["state_dir"]
        self.path = os.path.join(self.folder, "state.json")
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as f:
                super().__init__(json.load(f))

    def update(self, **values):
        super().update(values)
        write(self.path, self)
        if values.get("job"):  # what `heirloom jobs` shows and train.cancel is told
            with open(os.path.join(self.folder, "remote_id"), "w", encoding="utf-8") as f:
                f.write(str(values["job"]))


def metric(request, **values):
    with open(request["metrics_file"], "a", encoding="utf-8") as f:
        f.write(json.dumps(values) + "\n")


def result(request, model, tokens, price=None, metrics=None):
    """Names the model that the provider keeps."""
    value = {"kind": "remote", "model": model, "trained_tokens": tokens, "metrics": metrics or {}}
    if price is not None:
        value["cost_usd"] = tokens / 1e6 * price
    write(os.path.join(request["out_dir"], "result.json"), value)


def blocked(request, provider, stage, code, message):
    """Says that the provider refused the corpus or the model for its content,
    which is an outcome and not a fault."""
    write(os.path.join(request["out_dir"], "result.json"), {"blocked": {"provider": provider, "stage": stage, "code": code, "message": message}})
    sys.exit(1)


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(f"HTTP {status}: {text[:500]}")
        self.status, self.text = status, text


class Unanswered(Exception):
    """It may have been done or not."""


class API:
    def __init__(self, url, key):
        self.url, self.key = url.rstrip("/"), key
        if not key:
            sys.exit("the provider's key is not set; name its variable in train.env_pass")

    def ask(self, method, path, body=None, kind="application/json", tries=1):
        """Gives decoded JSON. Only what may be sent twice has several tries; a
        429 was not accepted, so it is always asked again."""
        data = json.dumps(body).encode() if body is not None and kind == "application/json" else body
        for n in range(1, 9):
            req = urllib.request.Request(self.url + path, data=data, method=method)
            req.add_header("Authorization", "Bearer " + self.key)
            if data is not None:
                req.add_header("Content-Type", kind)
            try:
                with urllib.request.urlopen(req, timeout=300) as answer:
                    text = answer.read()
                    return json.loads(text) if text.strip() else {}
            except urllib.error.HTTPError as e:
                text = e.read().decode("utf-8", "replace").replace(self.key, "[key]")
                if e.code != 429 and not (e.code >= 500 and n < tries) or n == 8:
                    if e.code >= 500:
                        raise Unanswered(f"{method} {path}: HTTP {e.code}: {text[:300]}")
                    raise Refused(e.code, text)
                wait = float(e.headers.get("Retry-After") or 2**n)
            except OSError as e:
                if n >= tries:
                    raise Unanswered(f"{method} {path}: {e}")
                wait = 2**n
            time.sleep(min(wait, 60) * float(os.environ.get("HEIRLOOM_POLL", "1")))

    def get(self, path):
        return self.ask("GET", path, tries=8)

    def upload(self, path, file, name, **fields):
        """Sends a file as a form; not sent twice by itself."""
        mark = uuid.uuid4().hex
        parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
        with open(file, "rb") as f:
            content = f.read()
        parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: application/jsonl\r\n\r\n'.encode() + content + b"\r\n")
        return self.ask("POST", path, b"".join(parts) + f"--{mark}--\r\n".encode(), kind=f"multipart/form-data; boundary={mark}")


def poll(look, seconds=20):
    """Yields what look gives, with pauses."""
    while True:
        yield look()
        time.sleep(seconds * float(os.environ.get("HEIRLOOM_POLL", "1")))


def main(run):
    try:
        run()
    except Refused as e:
        sys.exit(f"the provider refused: {e}")
    except Unanswered as e:
        log("no answer, so another attempt looks up what was done:", e)
        sys.exit(AGAIN)
