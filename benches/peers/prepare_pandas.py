"""Review files to next-purchase questions with pandas: a peer of `nextcart_data::prepare`.

As notebooks do it: every line to a dict, all dicts to a data frame, loops over users. One thread.

Run: python prepare_pandas.py --reviews R.json.gz --meta M.json.gz --out DIR [--threads 2]
"""

import argparse
import gzip
import html
import json
import random
import re
import resource
import time
import zlib
from pathlib import Path

import pandas as pd

PARTS = ["train", "validation", "test"]
PRODUCT = ["item", "title", "brand", "category", "price"]
CODE = ["getTime", "function(", "a-box-inner"]


def read_lines(path):
    rows = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
    return pd.DataFrame(rows)


def clean_title(title):
    if not isinstance(title, str):
        return None
    title = html.unescape(title)
    span = re.search(r'productTitle"[^>]*>([^<]*)', title)
    if span:
        title = span.group(1)
    title = re.sub(r"</?[a-zA-Z][^>]*(>|$)", " ", title)
    title = re.sub(r"\s+", " ", title).strip()
    if not title or any(mark in title for mark in CODE):
        return None
    return title


def clean_price(price):
    match = re.fullmatch(r"\$?([0-9,]+\.?[0-9]*)", str(price))
    return float(match.group(1).replace(",", "")) if match else None


def write(frame, path):
    frame.to_parquet(path, compression="zstd", index=False)


def ingest(args):
    reviews = read_lines(args.reviews)
    names = {"reviewerID": "user", "asin": "item", "unixReviewTime": "time", "overall": "rating"}
    reviews = reviews.rename(columns=names)
    reviews = reviews[["user", "item", "time", "rating", "verified", "summary"]].drop_duplicates()
    write(reviews, args.out / "reviews.parquet")

    items = read_lines(args.meta).rename(columns={"asin": "item"}).drop_duplicates("item")
    items["title"] = items["title"].apply(clean_title)
    items["brand"] = items["brand"].str.strip().replace("", None)
    items["price"] = items["price"].apply(clean_price)
    items = items[PRODUCT + ["also_buy", "also_view"]]
    write(items, args.out / "items.parquet")
    return reviews, items


def histories(reviews, items, args):
    titled = set(items[items["title"].notna()]["item"])
    df = reviews[reviews["verified"] & reviews["item"].isin(titled)]
    df = df.sort_values("time").drop_duplicates(["user", "item"])
    df = df[df.groupby("user")["item"].transform("nunique") >= 5].copy()
    df["tie"] = [zlib.crc32((user + item).encode()) for user, item in zip(df["user"], df["item"])]
    df = df.sort_values(["user", "time", "tie"])
    df["position"] = df.groupby("user").cumcount()

    times = sorted(df["time"])
    validation, test = [times[int(q * len(times))] for q in (0.8, 0.9)] if times else (0, 0)

    def part(time):
        return "train" if time < validation else "validation" if time < test else "test"

    df["part"] = df["time"].apply(part)
    df = df[["user", "position", "item", "time", "rating", "part"]]
    write(df, args.out / "histories.parquet")
    return df


def questions(df, items, args):
    random.seed(0)
    product = items[PRODUCT].set_index("item", drop=False).to_dict("index")
    popular = list(df[df["part"] == "train"]["item"].value_counts().index)
    buckets = max(len(popular) // 50, 1)  # a short last bucket joins the one before
    bucket_of = {item: min(rank // 50, buckets - 1) for rank, item in enumerate(popular)}
    bucket_items = {}
    for item, bucket in bucket_of.items():
        bucket_items.setdefault(bucket, []).append(item)

    rows = []
    for user, group in df.groupby("user"):
        bought = group.to_dict("records")
        owned = {purchase["item"] for purchase in bought}
        for part in PARTS:
            positions = [i for i, purchase in enumerate(bought) if purchase["part"] == part]
            if not positions or positions[-1] < 3:
                continue
            position = positions[-1]
            target = bought[position]["item"]
            if target not in bucket_of:
                continue
            pool = [item for item in bucket_items[bucket_of[target]] if item not in owned]
            candidates, titles = [target], {product[target]["title"]}
            for item in random.sample(pool, len(pool)):
                if len(candidates) < 4 and product[item]["title"] not in titles:
                    candidates.append(item)
                    titles.add(product[item]["title"])
            if len(candidates) < 4:
                continue
            random.shuffle(candidates)
            history = []
            for purchase in bought[max(position - 10, 0) : position]:
                seen = {"time": purchase["time"], "rating": purchase["rating"]}
                history.append({**product[purchase["item"]], **seen})
            rows.append(
                {
                    "id": f"{user}:{position}",
                    "user": user,
                    "part": part,
                    "time": bought[position]["time"],
                    "history": history,
                    "candidates": [product[item] for item in candidates],
                    "answer": candidates.index(target),
                }
            )
    columns = ["id", "user", "part", "time", "history", "candidates", "answer"]
    asked = pd.DataFrame(rows, columns=columns)
    write(asked, args.out / "questions.parquet")
    return asked


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reviews", required=True)
    parser.add_argument("--meta", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2, help="ignored")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    clock = [time.perf_counter()]
    reviews, items = ingest(args)
    clock.append(time.perf_counter())
    purchases = histories(reviews, items, args)
    clock.append(time.perf_counter())
    asked = questions(purchases, items, args)
    clock.append(time.perf_counter())

    names = ["ingest", "histories", "questions", "total"]
    spans = [b - a for a, b in zip(clock, clock[1:])] + [clock[-1] - clock[0]]
    report = {
        "tool": "pandas",
        "version": pd.__version__,
        "seconds": {name: round(span, 3) for name, span in zip(names, spans)},
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
        "reviews": len(reviews),
        "users": int(purchases["user"].nunique()),
        "purchases": len(purchases),
        "questions": {part: int((asked["part"] == part).sum()) for part in PARTS},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
