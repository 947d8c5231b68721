#!/usr/bin/env python3
"""Serves a model and its LoRA adapters over the OpenAI protocol, with vLLM's
calls for loading adapters: small enough to read, for machines without vLLM.

Requests for the same model that arrive together are answered together. Each
draws from a generator of its own seed; still, batches of another size can round
logits otherwise, so only --batch 1 repeats every answer exactly.
"""
import argparse
import json
import queue
import random
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer


def log(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


class Refused(Exception):
    """An answer of 4xx or 5xx."""

    def __init__(self, status, message, code="invalid_request_error"):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class Ask:
    """One completion that is wanted."""

    def __init__(self, body, prompt):
        self.model = body.get("model", "")
        self.prompt = prompt
        self.temperature = float(body.get("temperature", 1.0))
        self.top_p = float(body.get("top_p", 1.0))
        self.longest = int(body.get("max_completion_tokens") or body.get("max_tokens") or 256)
        self.chance = random.Random(body.get("seed")) if body.get("seed") is not None else random.Random()
        self.tokens, self.logprobs, self.finish = [], [], "length"
        self.done, self.error = threading.Event(), None


class Engine:
    def __init__(self, options):
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        name = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
        dtype = getattr(torch, options.dtype)
        self.tokenizer = AutoTokenizer.from_pretrained(options.model)
        self.base = AutoModelForCausalLM.from_pretrained(options.model, **{name: dtype}).to(self.device).eval()
        self.peft = None
        self.adapters = {}  # name to path
        self.lock = threading.Lock()  # held by whoever uses the weights
        self.waiting = queue.Queue()
        self.context = getattr(self.base.config, "max_position_embeddings", 2048)
        ends = self.base.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self.ends = {e for e in ends + [self.tokenizer.eos_token_id] if e is not None}

    def load(self, name, path):
        with self.lock:
            if name in self.adapters:
                raise Refused(400, f"The lora adapter '{name}' has already been loaded.")
            try:
                if self.peft is None:
                    self.peft = PeftModel.from_pretrained(self.base, path, adapter_name=name).eval()
                else:
                    self.peft.load_adapter(path, adapter_name=name)
            except Exception as e:
                raise Refused(404, f"No adapter found for {path}: {e}", "not_found_error")
            self.adapters[name] = path

    def unload(self, name):
        with self.lock:
            if name not in self.adapters:
                raise Refused(404, f"The lora adapter '{name}' cannot be found.", "not_found_error")
            self.peft.delete_adapter(name)
            del self.adapters[name]

    def ask(self, body):
        """Answers a request of chat/completions with n choices."""
        model = body.get("model", "")
        if model != self.options.name and model not in self.adapters:
            raise Refused(404, f"The model `{model}` does not exist.", "not_found_error")
        text = self.tokenizer.apply_chat_template(
            body["messages"], tokenize=False, add_generation_prompt=True, **body.get("chat_template_kwargs", {}))
        prompt = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(prompt) >= self.context:
            raise Refused(400, f"This model's maximum context length is {self.context} tokens, and the prompt has {len(prompt)}.")
        asks = []
        for k in range(int(body.get("n") or 1)):
            ask = Ask(body, prompt)
            if k > 0 and body.get("seed") is not None:
                ask.chance = random.Random(f"{body['seed']} {k}")
            ask.longest = min(ask.longest, self.context - len(prompt))
            asks.append(ask)
            self.waiting.put(ask)
        for ask in asks:
            ask.done.wait()
            if ask.error:
                raise ask.error
        return asks

    def work(self):
        """Answers what waits, in batches of one model."""
        held = []
        while True:
            batch = held or [self.waiting.get()]
            held = []
            until = time.monotonic() + 0.01
            while len(batch) < self.options.batch:
                try:
                    batch.append(self.waiting.get(timeout=max(0.0, until - time.monotonic())))
                except queue.Empty:
                    break
            held = [a for a in batch if a.model != batch[0].model]
            batch = [a for a in batch if a.model == batch[0].model]
            try:
                with self.lock:
                    self.generate(batch)
            except Exception as e:  # whoever asked is told
                log("failed:", repr(e))
                for a in batch:
                    a.error = Refused(500, repr(e), "server_error")
            for a in batch:
                a.done.set()

    def generate(self, batch):
        model = self.base if self.peft is None else self.peft
        adapter = batch[0].model
        if self.peft is not None and adapter in self.adapters and not self.options.ignore_adapters:
            self.peft.set_adapter(adapter)
            self.decode(model, batch)
        elif self.peft is not None:
            with self.peft.disable_adapter():
                self.decode(model, batch)
        else:
            self.decode(model, batch)

    @torch.inference_mode()
    def decode(self, model, batch):
        """Draws token by token; prompts are padded on the left."""
        longest = max(len(a.prompt) for a in batch)
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else 0
        ids = torch.tensor([[pad] * (longest - len(a.prompt)) + a.prompt for a in batch], device=self.device)
        mask = torch.tensor([[0] * (longest - len(a.prompt)) + [1] * len(a.prompt) for a in batch], device=self.device)
        temperature = torch.tensor([[a.temperature] for a in batch], dtype=torch.float64)
        open_, past = set(range(len(batch))), None
        while open_:
            positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1]:]
            out = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=True)
            past = out.past_key_values
            logits = out.logits[:, -1].to("cpu", torch.float64)
            plain = torch.log_softmax(logits, -1)
            warm = torch.softmax(logits / temperature.clamp(min=1e-6), -1)
            chosen = []
            for i, a in enumerate(batch):
                token = self.choose(a, warm[i], logits[i])
                chosen.append(token)
                if i not in open_:
                    continue
                a.logprobs.append(plain[i, token].item())
                if token in self.ends:
                    a.finish = "stop"
                    a.tokens.append(token)
                    open_.discard(i)
                else:
                    a.tokens.append(token)
                    if len(a.tokens) >= a.longest:
                        open_.discard(i)
            ids = torch.tensor([[t] for t in chosen], device=self.device)
            mask = torch.cat([mask, torch.ones((len(batch), 1), dtype=mask.dtype, device=self.device)], -1)

    def choose(self, a, probabilities, logits):
        if a.temperature <= 0:
            return int(logits.argmax())
        order = None
        if a.top_p < 1:
            probabilities, order = probabilities.sort(descending=True, stable=True)
            kept = int((probabilities.cumsum(-1) - probabilities < a.top_p).sum())
            probabilities = probabilities[:kept]
        total = probabilities.cumsum(-1)
        at = int(torch.searchsorted(total, torch.tensor(a.chance.random() * float(total[-1]), dtype=torch.float64)))
        at = min(at, len(total) - 1)
        return at if order is None else int(order[at])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine = None

    def log_message(self, *_):
        pass

    def reply(self, status, value):
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(value, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        e = self.engine
        if self.path == "/health":
            self.reply(200, "")
        elif self.path == "/v1/models":
            data = [{"id": e.options.name, "object": "model", "created": 0, "owned_by": "heirloom", "root": e.options.model, "parent": None}]
            data += [{"id": n, "object": "model", "created": 0, "owned_by": "heirloom", "root": p, "parent": e.options.name} for n, p in e.adapters.items()]
            self.reply(200, {"object": "list", "data": data})
        else:
            self.reply(404, {"error": {"message": "no such path", "type": "not_found_error", "param": None, "code": None}})

    def do_POST(self):
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            if self.path == "/v1/load_lora_adapter":
                self.engine.load(body["lora_name"], body["lora_path"])
                log("loaded", body["lora_name"], "from", body["lora_path"])
                self.reply(200, f"Success: LoRA adapter '{body['lora_name']}' added successfully.")
            elif self.path == "/v1/unload_lora_adapter":
                self.engine.unload(body["lora_name"])
                self.reply(200, f"Success: LoRA adapter '{body['lora_name']}' removed successfully.")
            elif self.path == "/v1/chat/completions":
                self.complete(body)
            else:
                raise Refused(404, "no such path", "not_found_error")
        except Refused as e:
            self.reply(e.status, {"error": {"message": e.message, "type": e.code, "param": None, "code": e.status}})
        except (KeyError, TypeError, ValueError) as e:
            self.reply(400, {"error": {"message": f"{type(e).__name__}: {e}", "type": "invalid_request_error", "param": None, "code": 400}})

    def complete(self, body):
        asks = self.engine.ask(body)
        choices = []
        for i, a in enumerate(asks):
            said = a.tokens[:-1] if a.finish == "stop" else a.tokens
            text = self.engine.tokenizer.decode(said, skip_special_tokens=True)
            logprobs = None
            if body.get("logprobs"):
                logprobs = {"content": [{"token": self.engine.tokenizer.decode([t]), "logprob": p, "bytes": None, "top_logprobs": []} for t, p in zip(a.tokens, a.logprobs)], "refusal": None}
            choices.append({"index": i, "finish_reason": a.finish, "logprobs": logprobs, "message": {"role": "assistant", "content": text, "refusal": None}})
        written = sum(len(a.tokens) for a in asks)
        usage = {"prompt_tokens": len(asks[0].prompt), "completion_tokens": written, "total_tokens": len(asks[0].prompt) + written}
        self.reply(200, {"id": f"chatcmpl-{time.time_ns()}", "object": "chat.completion", "created": int(time.time()), "model": body["model"], "choices": choices, "usage": usage})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--name", help="that requests ask for; the model's own unless given")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--ignore-adapters", action="store_true", help="load adapters and never use them: what heirloom has to notice")
    options = parser.parse_args()
    options.name = options.name or options.model
    engine = Engine(options)
    Handler.engine = engine
    threading.Thread(target=engine.work, daemon=True).start()
    server = Server(("127.0.0.1", options.port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log("torch", torch.__version__, "transformers", transformers.__version__, "serves", options.name, "on", engine.device, "at port", options.port)
    server.serve_forever()


if __name__ == "__main__":
    main()
