"""Run setfit on a few examples, with its defaults: what `peers.py` starts with the Python of the peers' environment.

    python benchmarks/peers_setfit.py ENCODER FOLDER OUT

FOLDER has `train.json` and `dev.json`, an object with `text` and `label` a line; OUT gets `score.json`: the accuracy on
development data in percent, and the seconds of the training.
"""

import json
import sys
import time
from pathlib import Path

from datasets import load_dataset
from setfit import SetFitModel, Trainer, TrainingArguments


def main() -> None:
    """Train and score."""
    encoder, folder, out = map(Path, sys.argv[1:])
    files = {split: str(folder / f"{split}.json") for split in ("train", "dev")}
    data = load_dataset("json", data_files=files)
    model = SetFitModel.from_pretrained(str(encoder), labels=sorted(set(data["train"]["label"])), device="cpu")
    arguments = TrainingArguments(output_dir=str(out / "out"), save_strategy="no", report_to="none")
    trainer = Trainer(model=model, args=arguments, train_dataset=data["train"], metric="accuracy")
    began = time.perf_counter()
    trainer.train()
    loop = time.perf_counter() - began
    said = model.predict(data["dev"]["text"])
    right = [str(one) == other for one, other in zip(said, data["dev"]["label"], strict=True)]
    (out / "score.json").write_text(json.dumps({"score": 100 * sum(right) / len(right), "loop": loop}))


if __name__ == "__main__":
    main()
