"""Review files to next-purchase questions with Polars: a peer of `nextcart_data::prepare`.

Lazy queries and sinks on the streaming engine; Python touches rows for HTML entities alone.

Run: python prepare_polars.py --reviews R.json.gz --meta M.json.gz --out DIR [--threads 2]
"""

import argparse
import html
import json
import os
import resource
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--reviews", required=True)
parser.add_argument("--meta", required=True)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()
os.environ["POLARS_MAX_THREADS"] = str(args.threads)  # read once, by the import

import polars as pl  # noqa: E402
from polars import col  # noqa: E402

MIN_PURCHASES, MIN_HISTORY, MAX_HISTORY = 5, 3, 10
DISTRACTORS, DRAWS, BUCKET = 3, 8, 50
PARTS = ["train", "validation", "test"]
ZSTD = {"compression": "zstd", "compression_level": 1}

REVIEW = {
    "reviewerID": pl.String,
    "asin": pl.String,
    "unixReviewTime": pl.Int64,
    "overall": pl.Float32,
    "verified": pl.Boolean,
    "summary": pl.String,
}
ITEM = {
    "asin": pl.String,
    "title": pl.String,
    "brand": pl.String,
    "category": pl.List(pl.String),
    "price": pl.String,
    "also_buy": pl.List(pl.String),
    "also_view": pl.List(pl.String),
}
PRODUCT = ["item", "title", "brand", "category", "price"]


def records(path, schema, key, exact):
    """One row a line that is whole.

    `scan_ndjson` and `json_decode` fail at a line that is cut off, so these go first. A line with a
    closing brace and a late key is as good as surely whole; to be sure takes a second parse.
    """
    line = col("line").str
    if exact:
        whole = line.json_path_match("$.asin").is_not_null()
    else:
        whole = line.ends_with("}") & line.contains(f'"{key}": ', literal=True)
    fields = line.json_decode(pl.Struct(schema)).struct.unnest()
    return pl.scan_lines(path).filter(whole).select(fields)


def decode_entities(texts):
    """HTML entities to characters, in the few texts that have any."""
    rows = texts.str.contains("&", literal=True).fill_null(False).arg_true()
    return texts.scatter(rows, [html.unescape(text) for text in texts.gather(rows)])


def clean_titles(items):
    """Step by step: an expression that holds a Python function twice calls it twice."""
    title = col("title").str
    span = title.extract('productTitle"[^>]*>([^<]*)')
    code = ["getTime", "function(", "a-box-inner"]
    return (
        items.with_columns(col("title").map_batches(decode_entities, return_dtype=pl.String))
        .with_columns(pl.coalesce(span, "title").str.replace_all(r"</?[a-zA-Z][^>]*(>|$)", " "))
        .with_columns(title.replace_all(r"\s+", " ").str.strip_chars())
        .with_columns(pl.when(col("title") != "", ~title.contains_any(code)).then("title"))
    )


def read(exact):
    """Both files in one go: each is unzipped by one thread, so that two of them keep two busy."""
    reviews = (
        records(args.reviews, REVIEW, "unixReviewTime", exact)
        .rename({"reviewerID": "user", "asin": "item", "unixReviewTime": "time"})
        .rename({"overall": "rating"})
        .drop_nulls(["user", "item", "time", "rating", "verified"])
        .unique()
    )
    price = col("price").str.extract(r"^\$?([0-9,]+\.?[0-9]*)$").str.replace_all(",", "")
    items = (
        records(args.meta, ITEM, "asin", exact)
        .rename({"asin": "item"})
        .drop_nulls("item")
        .unique("item", keep="first", maintain_order=True)
        .pipe(clean_titles)
        .with_columns(
            col("brand").str.strip_chars().replace("", None), price.cast(pl.Float64, strict=False)
        )
    )
    tables = {"reviews.parquet": reviews, "items.parquet": items}
    pl.collect_all(
        [table.sink_parquet(args.out / name, lazy=True, **ZSTD) for name, table in tables.items()],
        engine="streaming",
    )
    return [pl.scan_parquet(args.out / name) for name in tables]


def ingest():
    try:
        return read(exact=False)
    except pl.exceptions.ComputeError:
        return read(exact=True)


def histories(reviews, items):
    purchases = (
        reviews.filter("verified")
        .select("user", "item", "time", "rating")
        .join(items.filter(col("title").is_not_null()), on="item", how="semi")
        .group_by("user", "item")
        .agg(col("time").min(), col("rating").min_by("time"))
        .filter(pl.len().over("user") >= MIN_PURCHASES)
        .sort("user", "time", col("user").hash() ^ col("item").hash())
        .collect(engine="streaming")
    )
    times = purchases["time"].sort()
    cuts = [times[int(q * len(times))] for q in (0.8, 0.9)] if len(times) else [0, 0]
    part = pl.sum_horizontal(col("time") >= cut for cut in cuts)
    purchases = purchases.select(
        "user",
        pl.int_range(pl.len(), dtype=pl.UInt32).over("user").alias("position"),
        "item",
        "time",
        "rating",
        part.replace_strict(range(3), PARTS, return_dtype=pl.Enum(PARTS)).alias("part"),
    )
    purchases.write_parquet(args.out / "histories.parquet", **ZSTD)
    return purchases


def questions(purchases, items):
    purchases = purchases.lazy().with_row_index("row")
    catalogue = items.select(PRODUCT)
    # Items by popularity in training, in buckets; a short last bucket joins the one before.
    buckets = (pl.len() // BUCKET).clip(lower_bound=1)
    ranked = (
        purchases.filter(col("part") == "train")
        .group_by("item")
        .len()
        .sort("len", col("item").hash(), descending=True)
        .select("item")
        .with_row_index("rank")
        .with_columns(bucket=pl.min_horizontal(col("rank") // BUCKET, buckets - 1))
        .with_columns(start=col("rank").min().over("bucket"), size=pl.len().over("bucket"))
        .collect()
        .lazy()
    )
    last = (col("user") != col("user").shift(-1)) | (col("part") != col("part").shift(-1))
    targets = (
        purchases.filter(last.fill_null(True))
        .filter(col("position") >= MIN_HISTORY)
        .join(ranked, on="item")
        .collect()
        .lazy()
    )
    rank = col("start") + pl.struct("row", "draw").hash() % col("size")
    drawn = (
        targets.select("row", "user", "start", "size", draw=pl.lit(list(range(1, DRAWS + 1))))
        .explode("draw")
        .select("row", "user", "draw", rank=rank.cast(pl.UInt32))
        .join(ranked, on="rank")
        .join(purchases, on=["user", "item"], how="anti")
    )
    # The target is draw 0, so that the first of each title keeps it.
    offered = [
        targets.select("row", "item", draw=pl.lit(0, pl.Int64)),
        drawn.select("row", "item", "draw"),
    ]
    candidates = (
        pl.concat(offered)
        .join(catalogue.select("item", "title"), on="item")
        .sort("row", "draw")
        .unique(["row", "title"], keep="first", maintain_order=True)
        .filter(pl.int_range(pl.len()).over("row") <= DISTRACTORS)
        .select("row", "item", "draw")
        .join(catalogue, on="item")
        .sort("row", pl.struct("row", "item").hash())
        .group_by("row", maintain_order=True)
        .agg(candidates=pl.struct(PRODUCT), answer=col("draw").arg_min())
        .filter(col("candidates").list.len() == 1 + DISTRACTORS)
    )
    first = col("row") - pl.min_horizontal("position", MAX_HISTORY)
    shown = (
        targets.select("row", before=pl.int_ranges(first, "row"))
        .explode("before")
        .join(purchases, left_on="before", right_on="row")
        .join(catalogue, on="item")
        .sort("row", "before")
        .group_by("row", maintain_order=True)
        .agg(history=pl.struct(*PRODUCT, "time", "rating"))
    )
    table = (
        targets.join(candidates, on="row")
        .join(shown, on="row")
        .select(
            pl.format("{}:{}", "user", "position").alias("id"),
            "user",
            "part",
            "time",
            "history",
            "candidates",
            "answer",
        )
        .collect(engine="streaming")
    )
    table.write_parquet(args.out / "questions.parquet", **ZSTD)
    return table


def main():
    args.out.mkdir(parents=True, exist_ok=True)
    clock = [time.perf_counter()]
    reviews, items = ingest()
    clock.append(time.perf_counter())
    purchases = histories(reviews, items)
    clock.append(time.perf_counter())
    asked = questions(purchases, items)
    clock.append(time.perf_counter())

    names = ["ingest", "histories", "questions", "total"]
    spans = [b - a for a, b in zip(clock, clock[1:])] + [clock[-1] - clock[0]]
    report = {
        "tool": "polars",
        "version": pl.__version__,
        "seconds": {name: round(span, 3) for name, span in zip(names, spans)},
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
        "reviews": reviews.select(pl.len()).collect().item(),
        "users": purchases["user"].n_unique(),
        "purchases": len(purchases),
        "questions": {part: (asked["part"] == part).sum() for part in PARTS},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
