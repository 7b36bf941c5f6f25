# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The transformer of `vaeseq.nn.transformer` in PyTorch, for `benchmarks.performance.speed`.

    python benchmarks/peers/torch_transformer.py train --model transformer --hidden 128 --batch 32
        --steps 64 --runs 10 [--compile]
    python benchmarks/peers/torch_transformer.py generate --model transformer --hidden 128 --batch 1
        --steps 500 --runs 5

Three layers with four heads and a window of 128 steps: pre-norm, rotary positions, SwiGLU,
`scaled_dot_product_attention`. A training step attends to the keys and values carried from the
window before, and has clipping and Adam; generation keeps a cache of them. Needs PyTorch and
nothing of vaeseq. Prints a JSON line with the median of `seconds_per_step`.
"""
import argparse
import json
import math
import statistics
import time

import torch
from torch import nn
from torch.nn import functional

_SYMBOLS, _EMBED, _LAYERS, _HEADS, _WINDOW, _WARM_UP = 65, 64, 3, 4, 128, 3


class Block(nn.Module):
    """Attention to the window of the past, and SwiGLU; `steps` is the most in one call."""

    def __init__(self, size, steps):
        super().__init__()
        self.norms = nn.ModuleList([nn.RMSNorm(size) for _ in range(2)])
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.project = nn.Linear(size, size, bias=False)
        inner = 8 * math.ceil(size / 3)
        self.gates, self.out = nn.Linear(size, 2 * inner, bias=False), nn.Linear(
            inner, size, bias=False)
        frequencies = 10000.0 ** (-torch.arange(size // _HEADS // 2) / (size // _HEADS // 2))
        angles = torch.arange(_WINDOW + steps)[:, None] * frequencies
        self.register_buffer("turns", torch.stack([angles.cos(), angles.sin()]))

    def rotate(self, x, first):
        cosine, sine = self.turns[:, first:first + x.shape[-2]]
        one, other = x.chunk(2, -1)
        return torch.cat([one * cosine - other * sine, one * sine + other * cosine], -1)

    def forward(self, x, cache, mask):
        rows, steps, _ = x.shape
        q, k, v = (part.view(rows, steps, _HEADS, -1).transpose(1, 2)
                   for part in self.qkv(self.norms[0](x)).chunk(3, -1))
        k, v = (torch.cat([old, new], 2) for old, new in zip(cache, (k, v)))
        y = functional.scaled_dot_product_attention(
            self.rotate(q, k.shape[2] - steps), self.rotate(k, 0), v, attn_mask=mask)
        x = x + self.project(y.transpose(1, 2).reshape(x.shape))
        gate, up = self.gates(self.norms[1](x)).chunk(2, -1)
        return (x + self.out(functional.silu(gate) * up),
                (k[:, :, -_WINDOW:], v[:, :, -_WINDOW:]))


class Transformer(nn.Module):
    """From symbols to logits, with a cache of each layer."""

    def __init__(self, size, steps):
        super().__init__()
        self.embed, self.enter = nn.Embedding(_SYMBOLS, _EMBED), nn.Linear(
            _EMBED, size, bias=False)
        self.blocks = nn.ModuleList([Block(size, steps) for _ in range(_LAYERS)])
        self.out = nn.Linear(size, _SYMBOLS)

    def forward(self, x, caches, mask):
        h, new_caches = self.enter(self.embed(x)), []
        for block, cache in zip(self.blocks, caches):
            h, cache = block(h, cache, mask)
            new_caches.append(cache)
        return self.out(h), new_caches


def trainer(options):
    """Returns a function that makes an update."""
    model = Transformer(options.hidden, options.steps)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    forward = torch.compile(model) if options.compile else model
    text = torch.randint(_SYMBOLS, [options.batch, options.steps + 1])
    zeros = torch.zeros(options.batch, _HEADS, _WINDOW, options.hidden // _HEADS)
    distance = torch.arange(_WINDOW + options.steps) - torch.arange(options.steps)[:, None]
    mask = (distance >= 0) & (distance <= _WINDOW)

    def update():
        optimizer.zero_grad()
        logits, _ = forward(text[:, :-1], [(zeros, zeros)] * _LAYERS, mask)
        functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return update


def sampler(options):
    """Returns a function that draws a batch of sequences."""
    model = Transformer(options.hidden, 1).eval()
    empty = torch.zeros(options.batch, _HEADS, 0, options.hidden // _HEADS)

    @torch.inference_mode()
    def draw():
        x, caches = torch.zeros(options.batch, 1, dtype=torch.long), [(empty, empty)] * _LAYERS
        for _ in range(options.steps):
            logits, caches = model(x, caches, None)
            x = torch.multinomial(logits[:, -1].softmax(-1), 1)

    return draw


def main() -> None:
    """Times updates or samples."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["train", "generate"])
    parser.add_argument("--model", choices=["transformer"], default="transformer")
    for name in ("hidden", "batch", "steps", "runs"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--compile", action="store_true", help="compile the model of training")
    options = parser.parse_args()
    torch.manual_seed(0)
    run = trainer(options) if options.work == "train" else sampler(options)
    seconds = []
    for _ in range(_WARM_UP + options.runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds_per_step": statistics.median(seconds[_WARM_UP:])}))


if __name__ == "__main__":
    main()
