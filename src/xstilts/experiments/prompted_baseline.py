"""Prompted baseline: what a decoder scores on a target's own test files without being trained for it.

The stages are those of `evaluation.prompting`, scored by the target's metric, so that the figures stand beside those of
fine-tuned models. A study names a baseline among its `extras`, as a table of its report.

>>> from xstilts.tasks.base import task
>>> baseline = PromptedBaseline(Encoder("tiny", "0" * 64, "/nowhere"), task("sandbox_nli"), languages=("qaa", "qab"))
>>> [stage.label for stage in baseline.scores(None).values()]
['score-sandbox_nli-test-qaa', 'score-sandbox_nli-test-qab']
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from xstilts.data.dataset import read
from xstilts.data.languages import language
from xstilts.errors import InputError
from xstilts.evaluation.prompting import Prompt, prompted
from xstilts.evaluation.score import read_score, score
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.runtime.text import counted
from xstilts.store.stage import Stage, folder_of
from xstilts.tasks.base import Task

MAX_LENGTH = 2048


@dataclass(frozen=True)
class PromptedBaseline:
    """A decoder that answers a target's test questions, zero-shot or after some training examples.

    Attributes:
        model: The decoder.
        target: The target, of a format in `prompting.FORMATS`.
        prompt: How examples are put; None: the usual prompt of the target, zero-shot.
        languages: Only these languages; none: all with test data.
        split: The split that is measured.
        max_length: Most tokens of a prompt.

    Raises:
        InputError: The target cannot be prompted, or has no such language.
    """

    model: Encoder
    target: Task
    prompt: Prompt | None = None
    languages: tuple[str, ...] = ()
    split: str = "test"
    max_length: int = MAX_LENGTH

    def __post_init__(self) -> None:
        self.target.check_languages(self.languages)
        self._prompt()  # refuse a target that cannot be prompted

    def _prompt(self) -> Prompt:
        return self.prompt or Prompt.of(self.target)

    def scores(self, data: Path | None) -> dict[str, Stage]:
        """Return the stages of the scores, by language.

        Args:
            data: The data folder; None where no files are needed.

        Raises:
            InputError: Test or training data are missing.
        """
        prompt, stages = self._prompt(), {}
        training = self._training_data(data) if prompt.shots else None
        for code in self.target.labelled_languages(self.split, self.languages, data):
            gold = read(self.target.data(self.split, code, data))
            predictions = prompted(self.model, gold, prompt, training, self.max_length)
            stages[code] = score(predictions, gold, self.target.metric)
        return stages

    def _training_data(self, data: Path | None) -> Stage:
        """Return the stage that reads the training data of the target, in its training language."""
        for task in self.target.target_training_tasks():
            if (task.format, task.labels) == (self.target.format, self.target.labels):
                return read(task.data("train", task.trained_in[0], data))
        raise InputError(f"'{self.target.name}' has no training data with its labels: prompt it without examples")

    def stages(self, machine: Runtime) -> Mapping[str, Stage]:
        """Return the stages of the scores, by language (`extra_tables.StageTable`)."""
        return self.scores(machine.data)

    def probed(self, machine: Runtime) -> dict[str, Any]:
        """Return the table of the scores (`extra_tables.StageTable`)."""
        results = {code: read_score(folder_of(stage, machine)) for code, stage in self.stages(machine).items()}
        rows: list[list[Any]] = [
            [f"{language(code).name} ({code})", result["headline"], result["examples"]]
            for code, result in results.items()
        ]
        if len(rows) > 1:
            rows.append(["mean", fmean(row[1] for row in rows), ""])
        prompt = self._prompt()
        how = (
            f"after {counted(prompt.shots, 'training example')} in each prompt" if prompt.shots else "without examples"
        )
        return {
            "title": f"{self.model.name}, prompted, on {self.target.label}",
            "columns": ["language", self.target.metric, "examples"],
            "rows": rows,
            "note": f"The likeliest answer counts, {how}; no weight was trained. The prompt ends in "
            f"{prompt.template.splitlines()[-1]!r}.",
        }
