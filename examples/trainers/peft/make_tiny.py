#!/usr/bin/env python3
"""Makes a tiny language model from nothing: a tokenizer, a Llama of three million
parameters, and a few minutes of training on conversations (JSONL with
messages). It stands in for a pretrained base where none can be fetched.
"""
import argparse
import json
import os
import sys
import time

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def log(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def conversations(paths):
    for path in paths:
        with open(path, encoding="utf-8") as f:
            for line in f:
                messages = json.loads(line).get("messages")
                if messages:
                    yield messages


def make_tokenizer(texts, size):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False))
    fast = PreTrainedTokenizerFast(tokenizer_object=t, pad_token="<|pad|>", eos_token="<|end|>", model_max_length=1024, clean_up_tokenization_spaces=False)
    fast.chat_template = TEMPLATE
    return fast


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("corpora", nargs="+", help="JSONL of conversations")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    talks = list(conversations(options.corpora))
    if not talks:
        sys.exit("the corpora have no conversation")
    tokenizer = make_tokenizer([m["content"] for talk in talks for m in talk], 2048)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=options.width, intermediate_size=4 * options.width, num_hidden_layers=options.layers,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None, tie_word_embeddings=False)
    model = LlamaForCausalLM(config).to(device)
    log(f"{len(talks)} conversations, {len(tokenizer)} tokens, {sum(p.numel() for p in model.parameters())} parameters on {device}")

    rows = [tokenizer(tokenizer.apply_chat_template(talk, tokenize=False), add_special_tokens=False)["input_ids"][:256] for talk in talks]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(options.seed)
    model.train()
    for step in range(1, options.steps + 1):
        batch = [rows[i] for i in torch.randint(len(rows), (32,), generator=generator).tolist()]
        longest = max(map(len, batch))
        ids = torch.full((len(batch), longest), tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for k, row in enumerate(batch):
            ids[k, : len(row)] = torch.tensor(row)
            mask[k, : len(row)] = 1
        labels = ids.masked_fill(mask == 0, -100)
        loss = model(input_ids=ids.to(device), attention_mask=mask.to(device), labels=labels.to(device)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step == 1 or step % 100 == 0:
            log(f"step {step}: loss {loss.item():.3f}")
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)

    # What reads it later has to cut texts alike.
    again, text = AutoTokenizer.from_pretrained(options.out), tokenizer.apply_chat_template(talks[0], tokenize=False)
    if again(text, add_special_tokens=False)["input_ids"] != tokenizer(text, add_special_tokens=False)["input_ids"]:
        sys.exit(f"the tokenizer is read back as a {type(again).__name__} that cuts texts otherwise")
    if again.apply_chat_template(talks[0], tokenize=False) != text:
        sys.exit("the tokenizer is read back with another chat template")
    if again.decode(again(text, add_special_tokens=False)["input_ids"]) != text:
        log("note: the tokenizer does not give every text back as it was")
    log("wrote", ", ".join(sorted(os.listdir(options.out))))


if __name__ == "__main__":
    main()
