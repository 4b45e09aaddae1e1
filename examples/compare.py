"""Compare an intermediate task with the baseline on the artificial languages of the sandbox.

$ python examples/compare.py --steps 200 --seeds 3
"""

from __future__ import annotations

import argparse

import xstilts as xs


def main() -> None:
    """Print the table by language, the zero-shot gain, and the scores by seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="training steps of each phase")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()

    result = xs.compare(
        "sandbox",
        intermediate=["sandbox_cloze"],
        target="sandbox_qa",
        recipe="sandbox",
        seeds=options.seeds,
        settings=(f"steps={options.steps}",),
        store="work",
    )
    print(result)
    print("zero-shot gain:", result.gain("sandbox_cloze").zero_shot)
    for row in result.rows():
        print(row["setting"], row["language"], row["seed"], f"{row['score']:.1f}")


if __name__ == "__main__":
    main()
