"""Train a question-answering model, load its checkpoint, and predict on new inputs.

$ python examples/predict.py --steps 200

The checkpoint is an ordinary Hugging Face folder: `load_model` takes any that xstilts has trained.
"""

from __future__ import annotations

import argparse

import xstilts as xs


def main() -> None:
    """Print the answers of a model that was trained on the sandbox's questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="training steps of each phase")
    options = parser.parse_args()

    result = xs.compare(
        "sandbox",
        intermediate=["sandbox_cloze"],
        target="sandbox_qa",
        recipe="sandbox",
        settings=(f"steps={options.steps}",),
        store="work",
    )
    checkpoint = result.checkpoint("sandbox_cloze", seed=1)
    model = xs.load_model(checkpoint)
    inputs = [
        {"question": "Who follows the cherry ?", "context": "Anna follows the cherry near the bridge ."},
        {"question": "Where ?", "context": "Onno sees the dog near the tree ."},
    ]
    print("checkpoint:", checkpoint)
    for example, prediction in zip(inputs, model.predict(inputs), strict=True):
        print(example["question"], "->", prediction["answer"])


if __name__ == "__main__":
    main()
