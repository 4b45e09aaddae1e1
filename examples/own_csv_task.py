"""Use CSV files as a task: train on English reviews, measure in every language that has a test file.

$ python examples/own_csv_task.py --steps 200

The files here are written by the script itself, in two of the sandbox's languages.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import xstilts as xs

REVIEWS = {
    "qaa": [("Anna finds the dog .", "pos"), ("Anna never finds the dog .", "neg")],
    "qab": [("Onno find dhi dog .", "pos"), ("Onno nivir find dhi dog .", "neg")],
}


def write(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write a CSV file with the columns `text` and `label`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def main() -> None:
    """Make the task and compare an intermediate task with the baseline on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="training steps of each phase")
    options = parser.parse_args()

    write(Path("train.csv"), REVIEWS["qaa"] * 20)
    write(Path("dev.csv"), REVIEWS["qaa"] * 2)
    for code, rows in REVIEWS.items():
        write(Path(f"test-{code}.csv"), rows * 4)

    reviews = xs.Task.from_csv(
        "reviews",
        {"train": "train.csv", "validation": "dev.csv", "test/{language}": "test-{language}.csv"},
        format="classification",
        text="text",
        label="label",
        labels=["neg", "pos"],
        trained_in=("qaa",),
    )
    result = xs.compare(
        "sandbox",
        intermediate=["sandbox_nli"],
        target=reviews,
        recipe="sandbox",
        settings=(f"steps={options.steps}",),
        store="work",
    )
    print(result)


if __name__ == "__main__":
    main()
