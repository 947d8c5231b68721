"""The same network in PyTorch: what it trains and samples in a second.

usage: torch_peer.py train|sample big|small OPENMP_THREADS SECONDS
prints: tokens a second, tokens a second of processor time, peak memory in MB, loss of
the first step

GPT-2 of PyTorch's own modules: fused qkv, F.linear with bias, tanh GELU, one
softmax over scores with a causal mask added by baddbmm, tied embeddings, and the
fastest AdamW that this PyTorch has. Sampling has a preallocated cache of keys and
values and a batch of 64.
"""

import inspect
import math
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SHAPES = {
    "big": dict(layers=4, width=128, heads=4, hidden=512, context=128, vocab=1024),
    "small": dict(layers=2, width=64, heads=4, hidden=256, context=64, vocab=512),
}
BATCH, SLOTS = 32, 64


class Block(nn.Module):
    def __init__(self, width, heads, hidden, context, **_):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, hidden), nn.Linear(hidden, width)
        mask = torch.full((context, context), float("-inf")).triu(1)
        self.register_buffer("mask", mask[None], persistent=False)

    def attend(self, x):
        b, t, d = x.shape
        w = d // self.heads
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, w).permute(2, 0, 3, 1, 4).reshape(3, b * self.heads, t, w).unbind(0)
        scores = torch.baddbmm(self.mask[:, :t, :t], q, k.transpose(1, 2), alpha=1 / math.sqrt(w))
        y = torch.bmm(scores.softmax(-1), v)
        return self.out(y.view(b, self.heads, t, w).transpose(1, 2).reshape(b, t, d))

    def mlp(self, x):
        return self.mlp_out(F.gelu(self.mlp_in(x), approximate="tanh"))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def step(self, x, keys, values, t):
        """One position of each sequence; keys and values are slots·heads × context × width."""
        b, d = x.shape
        w = d // self.heads
        q, k, v = self.qkv(self.norm1(x)).view(b, 3, self.heads, w).unbind(1)
        keys[:, t] = k.reshape(b * self.heads, w)
        values[:, t] = v.reshape(b * self.heads, w)
        scores = torch.bmm(q.reshape(b * self.heads, 1, w), keys[:, : t + 1].transpose(1, 2)) / math.sqrt(w)
        y = torch.bmm(scores.softmax(-1), values[:, : t + 1])
        x = x + self.out(y.view(b, d))
        return x + self.mlp(self.norm2(x))


class Net(nn.Module):
    def __init__(self, layers, width, heads, hidden, context, vocab):
        super().__init__()
        self.token, self.position = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, hidden, context) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.shape = (layers, width, heads, context)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0, 0.02)

    def forward(self, tokens, targets):
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.token.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def cache(self, slots):
        layers, width, heads, context = self.shape
        return [torch.empty(2, slots * heads, context, width // heads) for _ in range(layers)]

    def step(self, tokens, cache, t):
        x = self.token(tokens) + self.position.weight[t]
        for block, (keys, values) in zip(self.blocks, cache):
            x = block.step(x, keys, values, t)
        return F.linear(self.norm(x), self.token.weight)


def adamw(net):
    matrices = [p for n, p in net.named_parameters() if p.dim() > 1 and "token" not in n and "position" not in n]
    others = [p for p in net.parameters() if not any(p is m for m in matrices)]
    groups = [dict(params=matrices, weight_decay=0.1), dict(params=others, weight_decay=0.0)]
    has = inspect.signature(torch.optim.AdamW).parameters
    options = dict(fused=True) if "fused" in has else dict(foreach=True) if "foreach" in has else {}
    try:
        return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), **options)
    except (RuntimeError, ValueError):
        return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), foreach=True)


def train(shape, seconds):
    net = Net(**shape)
    optimizer = adamw(net)
    tokens = torch.randint(shape["vocab"], (BATCH, shape["context"] + 1))
    times, first = [], 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 4:
        start = time.monotonic()
        optimizer.zero_grad(set_to_none=True)
        loss = net(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        first = first or loss.item()
        times.append(time.monotonic() - start)
    return BATCH * shape["context"], times[2:], first


@torch.inference_mode()
def sample(shape, seconds):
    net = Net(**shape)
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 3:
        cache = net.cache(SLOTS)
        tokens = torch.zeros(SLOTS, dtype=torch.long)
        start = time.monotonic()
        for t in range(shape["context"] - 1):
            p = net.step(tokens, cache, t).softmax(-1)
            tokens = torch.multinomial(p, 1).squeeze(1)
        times.append(time.monotonic() - start)
    return SLOTS * (shape["context"] - 1), times[1:], 0.0


def main():
    what, size, threads, seconds = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    clock = time.process_time()
    tokens, times, loss = dict(train=train, sample=sample)[what](SHAPES[size], float(seconds))
    clock = (time.process_time() - clock) / (len(times) + 1.5)
    times.sort()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{tokens / times[len(times) // 2]:.0f} {tokens / clock:.0f} {peak:.0f} {loss:.4f}")


main()
