"""SASRec with cross-entropy over the catalogue in RecBole: a peer of `nextcart_eval::SasRec`.

    python sasrec_recbole.py PREPARED [--epochs 100] [--patience 10] [--seed 0] [--folder DIR]

PREPARED is a folder that nextcart prepared with the split leave-one-out. Trains on every prefix of the training part,
stops early on NDCG@10 of the validation purchases, and ranks all items of training but those that the user has, for the
users with a test question. Width, blocks, heads, dropout and learning rate are those of `SasRecConfig::new()`; blocks
are RecBole's own (normalised after each part, and once before the first), and a batch holds prefixes, not users.

Needs `requirements-recbole.txt`.
"""
import argparse
import time
import warnings
from pathlib import Path

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
from sasrec_common import Split, place, report  # noqa: E402


def write(folder, name, cases, length):
    with open(folder / f"shop.{name}.inter", "w") as file:
        file.write("user_id:token\titem_id_list:token_seq\titem_id:token\n")
        for user, before, target in cases:
            file.write(f"{user}\t{' '.join(before[-length:])}\t{target}\n")


def settings(arguments):
    return dict(
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
        hidden_dropout_prob=arguments.dropout,
        attn_dropout_prob=arguments.dropout,
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
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--patience", type=int, default=10)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("recbole"))
    arguments = parser.parse_args()

    split = Split(arguments.prepared)
    prefixes = [
        (user, items[:end], items[end]) for user, items in split.train.items() for end in range(1, len(items))
    ]
    folder = arguments.folder / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, "train", prefixes, arguments.length)
    write(folder, "valid", split.cases["validation"], arguments.length)
    write(folder, "test", split.cases["test"], arguments.length)

    config = Config(model="SASRec", dataset="shop", config_dict=settings(arguments))
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
    unknown = [id for token, id in number.items() if token not in split.known]
    places, right = [], []
    with torch.no_grad():
        for (_, items, target), question in zip(split.cases["test"], split.questions["test"]):
            recent = [number[item] for item in items[-arguments.length :]]
            sequence = torch.zeros(1, arguments.length, dtype=torch.long)
            sequence[0, : len(recent)] = torch.tensor(recent)
            batch = {model.ITEM_SEQ: sequence, model.ITEM_SEQ_LEN: torch.tensor([len(recent)])}
            scores = model.full_sort_predict(batch)[0].numpy()
            options = [number[candidate["item"]] for candidate in question["candidates"]]
            right.append(int(scores[options].argmax()) == question["answer"])
            places.append(place(scores, number[target], unknown + [number[item] for item in items]))
    report(places, right, seconds=seconds)


if __name__ == "__main__":
    main()
