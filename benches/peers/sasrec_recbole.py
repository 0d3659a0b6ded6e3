"""SASRec with cross-entropy over the catalogue in RecBole: a peer of `nextcart_eval::SasRec`.

    python sasrec_recbole.py PREPARED [--epochs 100] [--seed 0] [--folder DIR]

PREPARED is a folder that nextcart prepared with `--split leave_one_out`. Trains on every prefix of the training part,
stops early on NDCG@10 of the validation purchases, and ranks all items of training but those that the user has, for the
users with a test question. Prints one line of JSON: HR@10, NDCG@10, their standard errors, the share of right answers
among the candidates of the questions, and seconds. Hidden size, blocks, heads, dropout, batch and learning rate are
those of `SasRecConfig::new()`; blocks are RecBole's own (normalised after each part, and once before the first), and a
batch holds as many targets, not users.
"""
import argparse
import json
import math
import time
import warnings
from pathlib import Path

import numpy
import pyarrow.parquet
import torch

warnings.filterwarnings("ignore", category=FutureWarning)

# torch 2.6 reads weights alone unless told otherwise, and RecBole's checkpoints hold more.
_load = torch.load
torch.load = lambda *args, **kwargs: _load(*args, **{"weights_only": False, **kwargs})

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.model.sequential_recommender import SASRec  # noqa: E402
from recbole.trainer import Trainer  # noqa: E402
from recbole.utils import init_seed  # noqa: E402

PARTS = ("train", "validation", "test")


def histories(folder):
    """Purchases of each user by part, oldest first."""
    rows = pyarrow.parquet.read_table(folder / "histories.parquet", columns=["user", "position", "item", "part"])
    users = {}
    for row in sorted(rows.to_pylist(), key=lambda row: (row["user"], row["position"])):
        users.setdefault(row["user"], {part: [] for part in PARTS})[row["part"]].append(row["item"])
    return users


def questions(folder, part):
    rows = pyarrow.parquet.read_table(folder / "questions.parquet").to_pylist()
    return [row for row in rows if row["part"] == part]


def write(folder, name, rows, length):
    with open(folder / f"shop.{name}.inter", "w") as file:
        file.write("user_id:token\titem_id_list:token_seq\titem_id:token\n")
        for user, before, target in rows:
            file.write(f"{user}\t{' '.join(before[-length:])}\t{target}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--patience", type=int, default=5)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("recbole"))
    arguments = parser.parse_args()

    users = histories(arguments.prepared)
    known = {item for user in users.values() for item in user["train"]}
    asked = {part: questions(arguments.prepared, part) for part in PARTS[1:]}
    train = [
        (user, parts["train"][:end], parts["train"][end])
        for user, parts in users.items()
        for end in range(1, len(parts["train"]))
    ]
    ends = {"validation": ("train",), "test": ("train", "validation")}

    def before(user, part):
        return [item for earlier in ends[part] for item in users[user][earlier] if item in known]

    rows = {
        part: [
            (row["user"], before(row["user"], part), row["candidates"][row["answer"]]["item"])
            for row in asked[part]
        ]
        for part in ends
    }
    folder = arguments.folder / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, "train", train, arguments.length)
    write(folder, "valid", rows["validation"], arguments.length)
    write(folder, "test", rows["test"], arguments.length)

    config = Config(
        model="SASRec",
        dataset="shop",
        config_dict=dict(
            data_path=str(arguments.folder),
            checkpoint_dir=str(arguments.folder / "saved"),
            benchmark_filename=["train", "valid", "test"],
            alias_of_item_id=["item_id_list"],
            load_col={"inter": ["user_id", "item_id_list", "item_id"]},
            MAX_ITEM_LIST_LENGTH=arguments.length,
            hidden_size=64,
            inner_size=64,
            n_layers=2,
            n_heads=2,
            hidden_act="relu",
            hidden_dropout_prob=0.2,
            attn_dropout_prob=0.2,
            loss_type="CE",
            train_neg_sample_args=None,
            learning_rate=1e-3,
            train_batch_size=arguments.batch,
            eval_batch_size=1024,
            epochs=arguments.epochs,
            stopping_step=arguments.patience,
            valid_metric="NDCG@10",
            metrics=["Hit", "NDCG"],
            topk=[10],
            eval_args={"order": "TO", "split": {"LS": "valid_and_test"}, "mode": "full", "group_by": "user"},
            seed=arguments.seed,
            use_gpu=False,
            show_progress=False,
            worker=0,
        ),
    )
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train_data, valid_data, _ = data_preparation(config, dataset)
    model = SASRec(config, train_data.dataset)
    trainer = Trainer(config, model)
    began = time.perf_counter()
    trainer.fit(train_data, valid_data, verbose=True, saved=True, show_progress=False)
    seconds = time.perf_counter() - began
    model.load_state_dict(torch.load(trainer.saved_model_file)["state_dict"])
    model.eval()

    number = dataset.field2token_id["item_id"]
    unknown = torch.tensor([token not in known for token in dataset.field2id_token["item_id"]])
    hits, gains, right = [], [], []
    with torch.no_grad():
        for (user, items, target), question in zip(rows["test"], asked["test"]):
            recent = [number[item] for item in items[-arguments.length :]]
            sequence = torch.zeros(1, arguments.length, dtype=torch.long)
            sequence[0, : len(recent)] = torch.tensor(recent)
            batch = {model.ITEM_SEQ: sequence, model.ITEM_SEQ_LEN: torch.tensor([len(recent)])}
            scores = model.full_sort_predict(batch)[0]
            options = torch.tensor([number[candidate["item"]] for candidate in question["candidates"]])
            right.append(int(scores[options].argmax()) == question["answer"])
            scores[unknown] = -math.inf
            scores[[number[item] for item in items if item != target]] = -math.inf
            place = int((scores > scores[number[target]]).sum()) + 1
            hits.append(place <= 10)
            gains.append(1 / math.log2(place + 1) if place <= 10 else 0.0)

    def mean(values):
        return round(float(numpy.mean(values)), 5), round(float(numpy.std(values) / math.sqrt(len(values))), 5)

    print(json.dumps(dict(hr10=mean(hits), ndcg10=mean(gains), accuracy=mean(right), n=len(hits), seconds=seconds)))


if __name__ == "__main__":
    main()
