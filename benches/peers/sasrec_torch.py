"""SASRec with cross-entropy over the catalogue, written in PyTorch: a peer of `nextcart_eval::SasRec`.

    python sasrec_torch.py PREPARED [--epochs 200] [--patience 10] [--seed 0]

PREPARED is a folder that nextcart prepared with the split leave-one-out. The same equations, sizes and batches as
nextcart's (blocks that normalise first, rows filled up behind, a row a user), out of PyTorch's own modules; weights,
order and dropout come from PyTorch's generator. Prints loss and NDCG@10 of validation epoch by epoch, and the result
as one line of JSON.

Needs `requirements-models.txt`, pyarrow and NumPy.
"""
import argparse
import copy
import math
import time
from pathlib import Path

import torch
from sasrec_common import Split, place, report
from torch import nn


class SasRec(nn.Module):
    def __init__(self, items, length, width=64, layers=2, heads=2, dropout=0.2):
        super().__init__()
        self.items = nn.Embedding(items, width)
        self.positions = nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, width, dropout, "relu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.dropout = nn.Dropout(dropout)
        for name, value in self.named_parameters():
            if value.dim() > 1:
                nn.init.normal_(value, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(value)

    def forward(self, ids):
        seq = ids.shape[1]
        x = self.dropout(self.items(ids) + self.positions.weight[:seq])
        later = torch.triu(torch.ones(seq, seq, dtype=torch.bool), diagonal=1)
        return self.blocks(x, mask=later)  # [batch, seq, width]


def padded(rows):
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)


def scores(model, histories):
    """Scores of all items behind each history."""
    hidden = model(padded(histories))
    last = hidden[torch.arange(len(histories)), torch.tensor([len(row) - 1 for row in histories])]
    return (last @ model.items.weight.T).numpy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--patience", type=int, default=10)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)

    split = Split(arguments.prepared)
    number = {item: place for place, item in enumerate(sorted(split.known))}
    rows = [[number[item] for item in items][-arguments.length - 1 :] for items in split.train.values()]
    rows = [row for row in rows if len(row) > 1]
    cases = {
        part: [([number[item] for item in before], number[target]) for _, before, target in cases if before]
        for part, cases in split.cases.items()
    }
    model = SasRec(len(number), arguments.length, dropout=arguments.dropout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def places(part):
        model.eval()
        found = []
        with torch.no_grad():
            for start in range(0, len(cases[part]), 256):
                some = cases[part][start : start + 256]
                histories = [before[-arguments.length :] for before, _ in some]
                for row, (before, target) in zip(scores(model, histories), some):
                    found.append((place(row, target, before), row))
        return found

    best, best_epoch, kept, began = -1.0, 0, None, time.perf_counter()
    for epoch in range(arguments.epochs):
        if epoch - best_epoch >= arguments.patience and kept:
            break
        model.train()
        total = count = 0
        order = torch.randperm(len(rows)).tolist()
        for start in range(0, len(order), arguments.batch):
            some = [rows[place] for place in order[start : start + arguments.batch]]
            hidden = model(padded([row[:-1] for row in some]))
            real = padded([[True] * (len(row) - 1) for row in some])
            targets = torch.tensor([item for row in some for item in row[1:]])
            logits = hidden[real] @ model.items.weight.T
            loss = nn.functional.cross_entropy(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(targets)
            count += len(targets)
        ndcg = sum(1 / math.log2(place + 1) for place, _ in places("validation") if place <= 10)
        ndcg /= len(cases["validation"])
        print(f"epoch {epoch + 1}: loss {total / count:.4f}, NDCG@10 of validation {ndcg:.4f}", flush=True)
        if ndcg > best:
            best, best_epoch, kept = ndcg, epoch + 1, copy.deepcopy(model.state_dict())
    seconds = time.perf_counter() - began
    model.load_state_dict(kept)
    found, right = [], []
    for (found_place, row), question in zip(places("test"), split.questions["test"]):
        options = [number[candidate["item"]] for candidate in question["candidates"]]
        right.append(int(row[options].argmax()) == question["answer"])
        found.append(found_place)
    report(found, right, best_epoch=best_epoch, seconds=seconds)


if __name__ == "__main__":
    main()
