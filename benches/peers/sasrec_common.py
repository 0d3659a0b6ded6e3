"""What the peers of `nextcart_eval::SasRec` share: the split of a prepared folder, and how targets are ranked."""
import json
import math

import numpy
import pyarrow.parquet

PARTS = ("train", "validation", "test")


class Split:
    """A folder that nextcart prepared with the split leave-one-out."""

    def __init__(self, folder):
        columns = ["user", "position", "item", "part"]
        rows = pyarrow.parquet.read_table(folder / "histories.parquet", columns=columns).to_pylist()
        users = {}
        for row in sorted(rows, key=lambda row: (row["user"], row["position"])):
            users.setdefault(row["user"], {part: [] for part in PARTS})[row["part"]].append(row["item"])
        self.train = {user: parts["train"] for user, parts in users.items()}
        self.known = {item for items in self.train.values() for item in items}
        asked = pyarrow.parquet.read_table(folder / "questions.parquet").to_pylist()
        self.questions = {part: [row for row in asked if row["part"] == part] for part in PARTS[1:]}
        before = {"validation": ("train",), "test": ("train", "validation")}
        # User, earlier purchases, and what was bought.
        self.cases = {
            part: [
                (
                    row["user"],
                    [item for earlier in before[part] for item in users[row["user"]][earlier] if item in self.known],
                    row["candidates"][row["answer"]]["item"],
                )
                for row in self.questions[part]
            ]
            for part in before
        }


def place(scores, target, known):
    """Place of the target among all items but those that the customer has; NumPy scores by item number."""
    others = numpy.ones(len(scores), dtype=bool)
    others[[item for item in known if item != target]] = False
    return int((scores[others] > scores[target]).sum()) + 1


def report(places, right, **more):
    """One line of JSON: HR@10, NDCG@10 and accuracy among candidates, each with its standard error."""
    hits = [place <= 10 for place in places]
    gains = [1 / math.log2(place + 1) if place <= 10 else 0.0 for place in places]

    def mean(values):
        return round(float(numpy.mean(values)), 5), round(float(numpy.std(values) / math.sqrt(len(values))), 5)

    found = dict(hr10=mean(hits), ndcg10=mean(gains), accuracy=mean(right), n=len(places))
    print(json.dumps({**found, **more}))
