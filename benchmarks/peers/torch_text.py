# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Trains the models in PyTorch that `benchmarks.quality.text` compares with.

    python benchmarks/peers/torch_text.py char-rnn TEXT
        two LSTM layers of 128 (Karpathy 2015)
    python benchmarks/peers/torch_text.py nanogpt TEXT
        four Transformer blocks of 128, the sizes that nanoGPT's author gives for a CPU

Needs PyTorch and nothing of vaeseq. The first nine tenths of the text train, the last tenth
validates. Prints one JSON line for each validation: training seconds since the start, without those
of validation, and nats per character of all the held-out text.
"""
import argparse
import json
import math
import time

import torch
from torch import nn
from torch.nn import functional


class CharRNN(nn.Module):
    """50 streams in windows of 50 characters, the state carried over; the original RMSprop."""

    batch, window, num_steps, valid_every = 50, 50, 20000, 250

    def __init__(self, symbols):
        super().__init__()
        self.embed = nn.Embedding(symbols, 128)
        self.rnn = nn.LSTM(128, 128, 2, dropout=0.0)
        self.out = nn.Linear(128, symbols)
        self.state = None

    def forward(self, x, state=None):
        h, state = self.rnn(self.embed(x), state)
        return self.out(h), state

    def optimizer(self):
        return torch.optim.RMSprop(self.parameters(), 2e-3, alpha=0.95)

    def rate(self, step, steps_an_epoch):
        return 2e-3 * 0.97 ** max(0, step // steps_an_epoch - 10)

    def loss(self, text, step):
        streams = text[: len(text) // self.batch * self.batch].view(self.batch, -1).T
        per_epoch = (len(streams) - 1) // self.window
        begin = step % per_epoch * self.window
        if begin == 0:
            self.state = None
        x, y = streams[begin:begin + self.window], streams[begin + 1:begin + self.window + 1]
        logits, state = self(x, self.state)
        self.state = tuple(part.detach() for part in state)
        return functional.cross_entropy(logits.flatten(0, 1), y.flatten())

    def validate(self, text):
        total, state = 0.0, None
        for begin in range(0, len(text) - 1, 1000):
            x, y = text[begin:begin + 1000][: len(text) - 1 - begin], text[begin + 1:begin + 1001]
            logits, state = self(x[:, None], state)
            total += functional.cross_entropy(logits[:, 0], y, reduction="sum").item()
        return total / (len(text) - 1)


class Block(nn.Module):
    """Self-attention and an MLP four times as wide, each pre-norm with a residual connection."""

    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(size, bias=False) for _ in range(2)])
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.project = nn.Linear(size, size, bias=False)
        self.mlp = nn.Sequential(nn.Linear(size, 4 * size, bias=False), nn.GELU(),
                                 nn.Linear(4 * size, size, bias=False))

    def forward(self, x):
        rows, steps, size = x.shape
        q, k, v = (part.view(rows, steps, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(self.norms[0](x)).chunk(3, -1))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(y.transpose(1, 2).reshape(rows, steps, size))
        return x + self.mlp(self.norms[1](x))


class NanoGPT(nn.Module):
    """12 windows of 64 characters; AdamW with warm-up and cosine decay over 2,000 steps."""

    batch, window, num_steps, valid_every = 12, 64, 2000, 250

    def __init__(self, symbols):
        super().__init__()
        self.embed, self.position = nn.Embedding(symbols, 128), nn.Embedding(self.window, 128)
        self.blocks = nn.Sequential(*[Block(128, 4) for _ in range(4)])
        self.norm = nn.LayerNorm(128, bias=False)
        self.out = nn.Linear(128, symbols, bias=False)
        self.out.weight = self.embed.weight
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)

    def forward(self, x):
        h = self.embed(x) + self.position(torch.arange(x.shape[1]))
        return self.out(self.norm(self.blocks(h)))

    def optimizer(self):
        matrices = [p for p in self.parameters() if p.dim() > 1]
        vectors = [p for p in self.parameters() if p.dim() < 2]
        return torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                                  {"params": vectors, "weight_decay": 0.0}],
                                 1e-3, betas=(0.9, 0.99))

    def rate(self, step, steps_an_epoch):
        if step < 100:
            return 1e-3 * (step + 1) / 100
        progress = (step - 100) / (self.num_steps - 100)
        return 1e-4 + 0.5 * (1 + math.cos(math.pi * progress)) * 9e-4

    def loss(self, text, step):
        begins = torch.randint(len(text) - self.window - 1, [self.batch])
        windows = torch.stack([text[b:b + self.window + 1] for b in begins])
        logits = self(windows[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())

    def validate(self, text):
        total = count = 0
        for begin in range(0, len(text) - 1, 64 * self.window):
            part = text[begin:begin + 64 * self.window + 1]
            length = (len(part) - 1) // self.window * self.window
            if length:
                x, y = part[:length].view(-1, self.window), part[1:length + 1].view(-1, self.window)
                total += functional.cross_entropy(
                    self(x).flatten(0, 1), y.flatten(), reduction="sum").item()
                count += length
        return total / count


def main() -> None:
    """Trains a model and prints its learning curve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["char-rnn", "nanogpt"])
    parser.add_argument("text")
    parser.add_argument("--max-seconds", type=float, default=300)
    options = parser.parse_args()
    start, validating = time.perf_counter(), 0.0
    torch.manual_seed(0)
    with open(options.text, encoding="utf-8") as file:
        characters = file.read()
    numbers = {c: i for i, c in enumerate(sorted(set(characters)))}
    text = torch.tensor([numbers[c] for c in characters])
    train, valid = text[: len(text) * 9 // 10], text[len(text) * 9 // 10:]
    model = {"char-rnn": CharRNN, "nanogpt": NanoGPT}[options.model](len(numbers))
    optimizer = model.optimizer()
    per_epoch = len(train) // (model.batch * model.window)
    for step in range(model.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = model.rate(step, per_epoch)
        optimizer.zero_grad()
        model.loss(train, step).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0 if options.model == "char-rnn" else 1.0)
        optimizer.step()
        seconds = time.perf_counter() - start - validating
        last = step + 1 == model.num_steps or seconds > options.max_seconds
        if (step + 1) % model.valid_every == 0 or last:
            with torch.inference_mode():
                model.eval()
                nats = model.validate(valid)
                model.train()
            validating = time.perf_counter() - start - seconds
            print(json.dumps({"seconds": seconds, "step": step + 1, "nats_per_char": nats}),
                  flush=True)
        if last:
            break


if __name__ == "__main__":
    main()
