"""Losses and gradient norms of a training in PyTorch, float64, for curve_test.go.

Parameters, tokens and weights follow from formulas, so that no state needs to be
exchanged. run: python3 curve.py > curve.json
"""

import json
import math

import torch
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, HIDDEN, CONTEXT, VOCAB = 2, 24, 3, 40, 17, 29
STEPS, BATCH, RATE, DECAY, CLIP = 30, 6, 0.01, 0.1, 1.0
torch.set_default_dtype(torch.float64)


def tensors():
    """Names, shapes and values in the order of a checkpoint."""
    shapes = [("embedding.token", VOCAB, WIDTH), ("embedding.position", CONTEXT, WIDTH)]
    for l in range(LAYERS):
        for part, inputs, outputs in (("norm.attention", 0, 0), ("attention.qkv", WIDTH, 3 * WIDTH),
                                      ("attention.out", WIDTH, WIDTH), ("norm.mlp", 0, 0),
                                      ("mlp.in", WIDTH, HIDDEN), ("mlp.out", HIDDEN, WIDTH)):
            name = f"block.{l}.{part}"
            if inputs:
                shapes += [(name, inputs, outputs), (name + ".bias", 1, outputs)]
            else:
                shapes += [(name + ".gain", 1, WIDTH), (name + ".bias", 1, WIDTH)]
    shapes += [("norm.final.gain", 1, WIDTH), ("norm.final.bias", 1, WIDTH)]
    out = {}
    for i, (name, rows, cols) in enumerate(shapes):
        values = [0.2 * math.sin(1.3 * j + 0.7 * i + 0.001 * j * j) + name.endswith(".gain") for j in range(rows * cols)]
        # Both sides start from the same float32 numbers.
        t = torch.tensor(values).float().double()
        out[name] = (t.view(rows, cols) if rows > 1 else t).requires_grad_()
    return out


def loss(p, tokens, weights):
    b, t = tokens.shape[0], tokens.shape[1] - 1
    x = p["embedding.token"][tokens[:, :-1]] + p["embedding.position"][:t]
    mask = torch.full((t, t), -math.inf).triu(1)
    for l in range(LAYERS):
        n = f"block.{l}."
        y = F.layer_norm(x, (WIDTH,), p[n + "norm.attention.gain"], p[n + "norm.attention.bias"])
        qkv = y @ p[n + "attention.qkv"] + p[n + "attention.qkv.bias"]
        q, k, v = (z.view(b, t, HEADS, -1).transpose(1, 2) for z in qkv.split(WIDTH, -1))
        scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + mask
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, WIDTH)
        x = x + y @ p[n + "attention.out"] + p[n + "attention.out.bias"]
        y = F.layer_norm(x, (WIDTH,), p[n + "norm.mlp.gain"], p[n + "norm.mlp.bias"])
        y = F.gelu(y @ p[n + "mlp.in"] + p[n + "mlp.in.bias"], approximate="tanh")
        x = x + y @ p[n + "mlp.out"] + p[n + "mlp.out.bias"]
    x = F.layer_norm(x, (WIDTH,), p["norm.final.gain"], p["norm.final.bias"])
    each = F.cross_entropy((x @ p["embedding.token"].T).flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return (each * weights.flatten()).sum()


def main():
    p = tensors()
    decayed = [t for n, t in p.items() if t.dim() > 1 and not n.startswith("embedding.")]
    others = [t for n, t in p.items() if t.dim() == 1 or n.startswith("embedding.")]
    optimizer = torch.optim.AdamW(
        [dict(params=decayed, weight_decay=DECAY), dict(params=others, weight_decay=0.0)], lr=RATE, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    for step in range(STEPS):
        # A walk that is partly predictable, with some positions not learned.
        tokens = torch.tensor([[(7 * s + 3 * t + (t * t * (s + step)) % 5) % VOCAB for t in range(CONTEXT + 1)] for s in range(BATCH)])
        weights = torch.tensor([[(0.0 if (s + t) % 4 == 0 else 1.0) / (BATCH * CONTEXT) for t in range(CONTEXT)] for s in range(BATCH)])
        optimizer.zero_grad()
        value = loss(p, tokens, weights)
        value.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(p.values(), CLIP)))
        losses.append(float(value))
        optimizer.step()
    print(json.dumps(dict(torch=torch.__version__, losses=losses, norms=norms), indent=1))


main()
