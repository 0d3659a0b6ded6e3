"""Review files to next-purchase questions with DuckDB: a peer of `nextcart_data::prepare`.

SQL on all threads, tables in memory; Python touches rows for HTML entities alone.

Run: python prepare_duckdb.py --reviews R.json.gz --meta M.json.gz --out DIR [--threads 2]
"""

import argparse
import html
import json
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy  # noqa: F401 (create_function would import it, and imports are not timed)

PARTS = ["train", "validation", "test"]
TO_PARQUET = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"

REVIEW = """{reviewerID: 'VARCHAR', asin: 'VARCHAR', unixReviewTime: 'BIGINT', overall: 'FLOAT',
             verified: 'BOOLEAN', summary: 'VARCHAR'}"""
ITEM = """{asin: 'VARCHAR', title: 'VARCHAR', brand: 'VARCHAR', category: 'VARCHAR[]',
           price: 'VARCHAR', also_buy: 'VARCHAR[]', also_view: 'VARCHAR[]'}"""
PRODUCT = "{item: item, title: title, brand: brand, category: category, price: price}"
PURCHASE = PRODUCT.replace("}", ", time: time, rating: rating}")

REVIEWS = f"""
SELECT DISTINCT reviewerID AS user, asin AS item, unixReviewTime AS time, overall AS rating,
       verified, summary
FROM read_ndjson($path, columns = {REVIEW}, ignore_errors = true)
WHERE columns(['reviewerID', 'asin', 'unixReviewTime', 'overall', 'verified']) IS NOT NULL"""

ITEM_LINES = f"""
FROM read_ndjson($path, columns = {ITEM}, ignore_errors = true) WHERE asin IS NOT NULL"""

# The first row of each item; titles go from raw to decoded, plain and lastly null if they are code.
ITEMS = r"""
WITH firsts AS (
    FROM item_lines WHERE rowid IN (SELECT min(rowid) FROM item_lines GROUP BY asin)
), decoded AS (
    SELECT * REPLACE (CASE WHEN contains(title, '&') THEN unescape(title) ELSE title END AS title)
    FROM firsts
), shown AS (
    SELECT * REPLACE (coalesce(
        nullif(regexp_extract(title, 'productTitle"[^>]*>([^<]*)', 1), ''), title) AS title)
    FROM decoded
), plain AS (
    SELECT * REPLACE (trim(regexp_replace(
        regexp_replace(title, '</?[a-zA-Z][^>]*(>|$)', ' ', 'g'), '[\s\pZ]+', ' ', 'g')) AS title)
    FROM shown
)
SELECT asin AS item,
       CASE WHEN title <> '' AND NOT regexp_matches(title, 'getTime|function\(|a-box-inner')
            THEN title END AS title,
       nullif(trim(brand, E' \t\r\n'), '') AS brand,
       category,
       try_cast(replace(regexp_extract(price, '^\$?([0-9,]+\.?[0-9]*)$', 1), ',', '') AS DOUBLE)
           AS price,
       also_buy,
       also_view
FROM plain"""

FIRST_PURCHASES = """
SELECT user, item, min(time) AS time, arg_min(rating, time) AS rating
FROM read_parquet($path)
WHERE verified AND item IN (SELECT item FROM items WHERE title IS NOT NULL)
GROUP BY user, item"""

HISTORIES = """
WITH placed AS (
    SELECT user, row_number() OVER (by_user ORDER BY time, hash(user, item)) - 1 AS position,
           item, time, rating
    FROM first_purchases
    WINDOW by_user AS (PARTITION BY user)
    QUALIFY count(*) OVER by_user >= 5
), cuts AS (
    SELECT quantile_disc(time, 0.8) AS validation, quantile_disc(time, 0.9) AS test FROM placed
)
SELECT placed.*, CASE WHEN time < validation THEN 'train' WHEN time < test THEN 'validation'
                      ELSE 'test' END AS part
FROM placed, cuts"""

# Items by popularity in training, in buckets of 50; a short last bucket joins the one before.
RANKED = """
WITH ranks AS (
    SELECT item, row_number() OVER (ORDER BY count(*) DESC, hash(item)) - 1 AS rank
    FROM histories WHERE part = 'train' GROUP BY item
), buckets AS (
    SELECT item, rank, least(rank // 50, greatest(count(*) OVER () // 50, 1) - 1) AS bucket
    FROM ranks
)
SELECT item, rank, min(rank) OVER same AS start, count(*) OVER same AS size
FROM buckets WINDOW same AS (PARTITION BY bucket)"""

TARGETS = """
WITH last AS (
    SELECT user, part, max(position) AS position, max(time) AS time, arg_max(item, position) AS item
    FROM histories GROUP BY user, part HAVING max(position) >= 3
)
SELECT row_number() OVER (ORDER BY user, position) AS question, *
FROM last JOIN ranked USING (item)"""

# One query, so that candidates and histories are made side by side. The target is draw 0, so that
# the first of each title keeps it. min_by with a count sorts faster than list(… ORDER BY …).
QUESTIONS = f"""
WITH drawn AS (
    SELECT question, user, start, size, draw FROM targets, range(1, 9) AS draws(draw)
), offered AS MATERIALIZED (
    SELECT question, 0 AS draw, item FROM targets
    UNION ALL
    SELECT question, draw, ranked.item
    FROM drawn JOIN ranked ON ranked.rank = drawn.start + hash(question, draw) % drawn.size
    ANTI JOIN histories ON histories.user = drawn.user AND histories.item = ranked.item
), titled AS (
    SELECT question, min(draw) AS draw, arg_min(item, draw) AS item
    FROM offered JOIN (SELECT item, title FROM items) USING (item)
    GROUP BY question, title
), chosen AS MATERIALIZED (
    FROM titled QUALIFY row_number() OVER (PARTITION BY question ORDER BY draw) <= 4
), candidates AS (
    SELECT question, min_by({PRODUCT}, hash(question, item), 4) AS candidates,
           list_position(min_by(draw, hash(question, item), 4), 0) - 1 AS answer
    FROM chosen JOIN items USING (item)
    GROUP BY question HAVING count(*) = 4
), before AS (
    SELECT question, user, unnest(range(greatest(position - 10, 0), position)) AS position
    FROM targets
), shown AS MATERIALIZED (
    SELECT question, position, {PURCHASE} AS purchase
    FROM before JOIN histories USING (user, position) JOIN items USING (item)
), pasts AS (
    SELECT question, min_by(purchase, position, 10) AS history FROM shown GROUP BY question
)
SELECT user || ':' || position AS id, user, part, time, history, candidates, answer
FROM targets JOIN pasts USING (question) JOIN candidates USING (question)"""


def write_reviews(db, args):
    out = args.out / "reviews.parquet"
    db.execute(f"COPY ({REVIEWS}) TO '{out}' {TO_PARQUET}", {"path": args.reviews})


def write_items(db, args):
    db.execute(f"CREATE TABLE item_lines AS {ITEM_LINES}", {"path": args.meta})
    db.execute(f"CREATE TABLE items AS {ITEMS}")
    db.execute("DROP TABLE item_lines")
    db.execute(f"COPY items TO '{args.out / 'items.parquet'}' {TO_PARQUET}")


def ingest(db, args):
    """Both files at once: each is unzipped by one thread, so that two of them keep two busy."""
    db.execute("SET preserve_insertion_order = true")  # which row of an item is the first
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(job, db.cursor(), args) for job in (write_reviews, write_items)]
    for job in jobs:
        job.result()
    db.execute("SET preserve_insertion_order = false")


def histories(db, args):
    path = str(args.out / "reviews.parquet")
    db.execute(f"CREATE TABLE first_purchases AS {FIRST_PURCHASES}", {"path": path})
    db.execute(f"CREATE TABLE histories AS {HISTORIES}")
    out = args.out / "histories.parquet"
    db.execute(f"COPY (FROM histories ORDER BY user, position) TO '{out}' {TO_PARQUET}")


def questions(db, args):
    db.execute(f"CREATE TABLE ranked AS {RANKED}")
    db.execute(f"CREATE TABLE targets AS {TARGETS}")
    db.execute(f"COPY ({QUESTIONS}) TO '{args.out / 'questions.parquet'}' {TO_PARQUET}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reviews", required=True)
    parser.add_argument("--meta", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    clock = [time.perf_counter()]
    db = duckdb.connect(config={"threads": args.threads, "preserve_insertion_order": False})
    db.create_function("unescape", html.unescape, ["VARCHAR"], "VARCHAR")
    for stage in (ingest, histories, questions):
        stage(db, args)
        clock.append(time.perf_counter())

    names = ["ingest", "histories", "questions", "total"]
    spans = [b - a for a, b in zip(clock, clock[1:])] + [clock[-1] - clock[0]]
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
    one = lambda query: db.execute(query).fetchone()  # noqa: E731
    users, purchases = one("SELECT count(DISTINCT user), count(*) FROM histories")
    asked = db.execute(
        f"SELECT part, count(*) FROM '{args.out / 'questions.parquet'}' GROUP BY part"
    ).fetchall()
    report = {
        "tool": "duckdb",
        "version": duckdb.__version__,
        "seconds": {name: round(span, 3) for name, span in zip(names, spans)},
        "peak_rss_mb": peak,
        "reviews": one(f"SELECT count(*) FROM '{args.out / 'reviews.parquet'}'")[0],
        "users": users,
        "purchases": purchases,
        "questions": {part: dict(asked).get(part, 0) for part in PARTS},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
