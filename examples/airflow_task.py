"""A task as Airflow and its like have them: everything of one day, done again safely.

A plain function of a date, to be called by a PythonOperator or decorated with `@task`.
"""

from __future__ import annotations

import json
import os
from datetime import date

import s3po

BUCKET = os.environ["EXAMPLE_BUCKET"]


def summarise(day: date, conn: s3po.Connection) -> dict[str, int]:
    """Sum the events of a day into one object; reads many at once, in bounded memory."""
    source = conn.path(f"s3://{BUCKET}/events/{day:%Y/%m/%d}")
    target = conn.path(f"s3://{BUCKET}/summaries/{day:%Y-%m-%d}.json")
    totals: dict[str, int] = {}

    def add(data: bytes) -> None:
        for line in data.splitlines():
            event = json.loads(line)
            totals[event["name"]] = totals.get(event["name"], 0) + 1

    with conn.batch(50) as batch:
        for path in source.glob("*.jsonl"):
            batch.download(path.bucket, path.key, callback=add)
    # Last, and whole: whoever finds the summary knows that the task has ended.
    target.write_text(json.dumps(totals, sort_keys=True), content_type="application/json")
    return totals


def main() -> None:
    conn = s3po.Connection()
    day = date(2024, 2, 29)
    folder = conn.path(f"s3://{BUCKET}/events/2024/02/29")
    for number in range(30):
        (folder / f"{number}.jsonl").write_text('{"name": "click"}\n{"name": "view"}\n')
    for _ in range(2):
        assert summarise(day, conn) == {"click": 30, "view": 30}
    text = conn.path(f"s3://{BUCKET}/summaries/2024-02-29.json").read_text()
    assert text == '{"click": 30, "view": 30}'


if __name__ == "__main__":
    main()
