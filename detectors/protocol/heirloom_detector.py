"""Speak heirloom's detector protocol. One file, Python 3.8 or later, nothing else.

    from heirloom_detector import run

    def detect(output, ctx):
        return "lattice" in output.lower()

    if __name__ == "__main__":
        run(detect, name="spiral", version="1")

detect is given the text to be judged and ctx, which has ctx.messages (the turns
before it, each with "role" and "content"), ctx.prompt (the last user turn, or "")
and ctx.config (the config of the experiment). It returns

    None               the text cannot be scored: it leaves the denominator
    True or False      present or absent
    a number in [0,1]  a score, held against the threshold
    a dict             any of score, present (or pass), reason, spans, cost

spans is a list of [start, end] or [start, end, "label"]: the slices output[start:end]
that show the behaviour. What detect says must depend on its arguments alone.

For a model that is faster on many texts at once:

    def detect_batch(outputs, ctxs):
        return model(outputs)          # one result for each

    run(detect_batch=detect_batch, name="mine", version="1", batch=32)

Print what you like once run is called: it goes to standard error. An exception costs the text that
raised it, which then is not scorable, and is shown by heirloom.

As a program, it makes a detector of any command that takes a text on standard
input and exits with 0 for present, 1 for absent and anything else for an error:

    python3 heirloom_detector.py --name spiral -- grep -qiE 'lattice|spiral'
"""

import json
import os
import subprocess
import sys
import traceback

PROTOCOL = 1
MOST_SPANS, LONGEST_REASON = 1000, 500  # what is kept of an answer
KEYS = {"score", "present", "pass", "reason", "spans", "cost"}

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder().decode
_quote = json.encoder.encode_basestring_ascii  # written by hand where speed counts


class Context:
    """What detect knows beside the text."""

    __slots__ = ("messages", "config")

    def __init__(self, messages, config):
        self.messages = messages
        self.config = config

    @property
    def prompt(self):
        for message in reversed(self.messages):
            if message["role"] == "user":
                return message["content"]
        return ""


def run(detect=None, *, detect_batch=None, name, version="", batch=None, threshold=0.5,
        deterministic=True, labels=(), setup=None):
    """Answer until the input ends. setup(config), if given, is called once before;
    it may return a dict of what is only then known, such as {"version": …}."""
    if (detect is None) == (detect_batch is None):
        raise TypeError("run needs either detect or detect_batch")
    rows_in, answers_out = _take_over()
    size = batch or (32 if detect_batch else 512)
    config = {}

    def judge(row_list):
        if detect_batch is None:
            return [_one(detect, row, config) for row in row_list]
        return _many(detect_batch, row_list, config, size)

    for lines in _chunks(rows_in):
        rows = []
        for line in lines:
            message = _decode(line)
            if message.get("type") == "hello":
                config.update(message.get("config") or {})
                ready = _greet(setup, config, {
                    "type": "ready", "protocol": PROTOCOL, "name": name, "version": str(version), "batch": size,
                    "threshold": threshold, "deterministic": bool(deterministic), "labels": list(labels)})
                _write(answers_out, _encode(ready) + "\n")
            elif "id" in message:
                rows.append(message)
        if rows:
            _write(answers_out, "\n".join(judge(rows)) + "\n")


def _take_over():
    """Keep the two pipes for the protocol: what else is printed goes to standard
    error, and a child process does not eat the rows."""
    rows_in, answers_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return rows_in, answers_out


def _chunks(fd):
    """Give the complete lines that have come so far, so that many rows cost one
    reading and one writing."""
    rest = []
    while True:
        data = os.read(fd, 1 << 18)
        if not data:
            return
        end = data.rfind(b"\n")
        if end < 0:
            rest.append(data)
            continue
        rest.append(data[:end])
        whole = b"".join(rest)
        rest = [data[end + 1:]]
        yield whole.decode("utf-8").split("\n")


def _write(fd, text):
    data = text.encode("utf-8")
    while data:
        data = data[os.write(fd, data):]


def _greet(setup, config, ready):
    if setup is None:
        return ready
    try:
        ready.update(setup(config) or {})
        return ready
    except Exception as error:
        traceback.print_exc()
        return {"type": "error", "message": "%s: %s" % (type(error).__name__, error)}


def _one(detect, row, config):
    output = row["output"]
    if not output or output.isspace():
        return _encode({"id": row["id"], "score": None, "reason": "the text is empty"})
    try:
        return _answer(row["id"], detect(output, Context(row["messages"], config)))
    except Exception as error:
        return _failed(row["id"], error)


def _many(detect_batch, rows, config, size):
    answers = []
    full = [row for row in rows if row["output"] and not row["output"].isspace()]
    answers += [_encode({"id": row["id"], "score": None, "reason": "the text is empty"})
                for row in rows if not row["output"] or row["output"].isspace()]
    for first in range(0, len(full), size):
        part = full[first:first + size]
        try:
            results = list(detect_batch([row["output"] for row in part],
                                        [Context(row["messages"], config) for row in part]))
            if len(results) != len(part):
                raise ValueError("detect_batch gave %d results for %d texts" % (len(results), len(part)))
        except Exception as error:
            if len(part) == 1:
                answers.append(_failed(part[0]["id"], error))
            else:  # one text must not cost the others
                for row in part:
                    answers += _many(detect_batch, [row], config, 1)
            continue
        for row, result in zip(part, results):
            try:
                answers.append(_answer(row["id"], result))
            except Exception as error:
                answers.append(_failed(row["id"], error))
    return answers


def _failed(row_id, error):
    traceback.print_exception(type(error), error, error.__traceback__)
    return _encode({"id": row_id, "error": "%s: %s" % (type(error).__name__, error)})


def _answer(row_id, result):
    if result is True:
        return '{"id":%s,"score":1,"present":true}' % _quote(row_id)
    if result is False:
        return '{"id":%s,"score":0,"present":false}' % _quote(row_id)
    if result is None:
        return _encode({"id": row_id, "score": None})
    if not isinstance(result, dict):
        plain = _plain(result)
        if isinstance(plain, bool):
            return _answer(row_id, plain)
        return _encode({"id": row_id, "score": _score(plain)})
    strange = set(result) - KEYS
    if strange:
        raise ValueError("unknown keys %s; there are %s" % (sorted(strange), sorted(KEYS)))
    answer = {"id": row_id}
    present = result.get("present", result.get("pass"))
    score = result.get("score")
    if present is not None:
        answer["present"] = bool(present)
        if "score" not in result:
            score = 1 if present else 0
    elif "score" not in result:
        raise ValueError("the result has neither score nor present")
    score = _plain(score)
    if isinstance(score, bool):
        score = int(score)
    answer["score"] = None if score is None else _score(score)
    if result.get("reason") is not None:
        answer["reason"] = str(result["reason"])[:LONGEST_REASON]
    if result.get("spans"):
        answer["spans"] = [[_plain(part) for part in span] for span in result["spans"][:MOST_SPANS]]
    if result.get("cost"):
        answer["cost"] = float(result["cost"])
    return _encode(answer)


def _plain(value):
    """A number of an array library as Python's own."""
    return value.item() if hasattr(value, "item") else value


def _score(value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("detect returned %r; it returns None, a bool, a number or a dict" % (value,))
    if not 0 <= value <= 1:  # NaN is not within anything
        raise ValueError("the score %r is not within [0,1]; None says that a text cannot be scored" % (value,))
    return value


def _filter(argv):
    """A detector of a command: the text on its standard input, the exit status its answer."""
    def detect(output, ctx):
        done = subprocess.run(argv, input=output.encode("utf-8"), stdout=subprocess.PIPE, check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError("%s exited with %d" % (argv[0], done.returncode))
        said = done.stdout.decode("utf-8", "replace").strip().split("\n")[0]
        return {"present": done.returncode == 0, "reason": said or None}
    return detect


def main(argv):
    try:
        at = argv.index("--")
        options = dict(zip(argv[1:at:2], argv[2:at:2]))
        command = argv[at + 1:]
        if not command or set(options) - {"--name", "--version"} or (at - 1) % 2:
            raise ValueError
    except ValueError:
        sys.exit("usage: python3 heirloom_detector.py [--name NAME] [--version VERSION] -- COMMAND…\n"
                 "COMMAND reads a text on standard input and exits with 0 (present) or 1 (absent)")
    run(_filter(command), name=options.get("--name", command[0]), version=options.get("--version", ""))


if __name__ == "__main__":
    main(sys.argv)
