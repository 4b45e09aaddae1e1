"""Where xstilts differs from the official code of XTREME and of the paper: one table, the page of that name.

Each row has the official value with its place, and the value here with a check of the code that tests run. What is not
in the table is meant to be equal. Write the page anew with

    python -m xstilts.experiments.official_differences > docs/experiments/official-differences.md

>>> all(difference.holds() for difference in DIFFERENCES)
True
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from xstilts.data.readers.xquad_r import squad_pairs
from xstilts.experiments.run import Recipes
from xstilts.formats import (
    FIXED_DEPTH,
    bitext_mining,
    chosen_layer,
    extractive_qa,
    multiple_choice,
    passage_ranking,
    token_classification,
)
from xstilts.metrics import XTREME_R, metric
from xstilts.models.heads import DualEncoderHead, attach_dual_encoder, head_row
from xstilts.tasks.base import task
from xstilts.training.optimizer import learning_rate
from xstilts.training.recipe import Recipe, Selection, named
from xstilts.training.train import train

COMMITS = {
    "google-research/xtreme": "838c13b69daafb9328785d16caae2711e4012123",
    "nyu-mll/jiant": "daa5a258e3af5e7503288de8401429eaf3f58e13",
}
XTREME, JIANT = COMMITS
HEAD = """# Differences from the official code

Where xstilts differs from the code of XTREME and XTREME-R ([google-research/xtreme]({xtreme})) and of the paper
([nyu-mll/jiant]({jiant})), which were read at these commits. What is not in a table is meant to be equal. The page is
written from one table, whose entries tests hold against the code:
`python -m xstilts.experiments.official_differences > docs/experiments/official-differences.md`.
"""


@dataclass(frozen=True)
class Difference:
    """One difference from the official code.

    Attributes:
        topic: The task or the part of an experiment.
        official: What the official code does.
        place: Its file and lines there.
        ours: What xstilts does.
        why: The reason.
        holds: Whether `ours` is true of the code.
        repository: A key of `COMMITS`.
    """

    topic: str
    official: str
    place: str
    ours: str
    why: str
    holds: Callable[[], bool]
    repository: str = XTREME

    @property
    def link(self) -> str:
        """The place as a Markdown link to the file at the commit that was read."""
        path, _, lines = self.place.partition(":")
        anchor = "-".join(f"L{number}" for number in lines.split("-")) if lines else ""
        address = f"https://github.com/{self.repository}/blob/{COMMITS[self.repository]}/{path}"
        return f"[{self.place.rpartition('/')[2]}]({address}{'#' + anchor if anchor else ''})"


def _recipe(name: str, role: str = "target", set_name: str = "xtreme", large: bool = False) -> Recipe:
    return named(set_name, name, task(name).format, role, large)


def _source(function: Callable[..., object]) -> str:
    return inspect.getsource(function)


def _module_of(function: Callable[..., object]) -> str:
    """Return the source of the module that a function is in."""
    module = inspect.getmodule(function)
    return inspect.getsource(module) if module else ""


RECIPES = (
    Difference(
        "XNLI, PAWS-X: evaluation",
        "every 100 and 200 steps, and not after the last step",
        "third_party/run_classify.py:242-264",
        "the same, and after the last step",
        "a training shorter than the interval is selected too",
        lambda: (
            "state.step == total" in _module_of(train)
            and _recipe("mnli").selection == Selection(100, 1_000_000, 10_000)
        ),
    ),
    Difference(
        "PAN-X, UD-POS: selection",
        "F1 of tagged words on the English development set, long sentences in parts",
        "third_party/run_tag.py:194-199",
        "F1 after the parts are joined again",
        "it is the score that is reported",
        lambda: "split_sentence" in _source(token_classification.encode),
    ),
    Difference(
        "BERT and RemBERT: pooler",
        "the dense layer before the classifier starts from the released pooler",
        "third_party/run_classify.py:67",
        "it is new in every phase, like all of a head",
        "a pooler that only some intermediate tasks keep would favour these",
        lambda: (
            {head_row(model, "classification").dense for model in ("bert", "rembert")}
            == {"bert.pooler.dense", "rembert.pooler.dense"}
        ),
    ),
    Difference(
        "Warm-up",
        "the first step has a learning rate of 0",
        "third_party/run_squad.py:130-132",
        "step *n* of *w* has *n*/*w* of the peak; the first one learns",
        "no step is without effect",
        lambda: learning_rate(Recipe(1.0, warmup_steps=500.0), 0, 1000) == 1 / 500,
    ),
    Difference(
        "Batches",
        "passes of 2, 4 or 8 examples are averaged; the last pass may be smaller",
        "scripts/train_xnli.sh:39-47",
        "32 examples a step, the mean over all of them",
        "the number of passes has no effect on the result",
        lambda: {_recipe(name).batch_size for name in ("mnli", "pawsx", "panx", "udpos", "squad")} == {32},
    ),
    Difference(
        "Intermediate tasks",
        "none (SIQA before COPA is XCOPA's training)",
        "scripts/train_xcopa.sh:63-75",
        "the learning rate of the task's script, 3 epochs, last checkpoint",
        "the scripts have no intermediate training; 3 epochs are the paper's",
        lambda: (_recipe("mnli", "intermediate").epochs, _recipe("mnli", "intermediate").selection) == (3.0, None),
    ),
    Difference(
        "Size of the encoder",
        "learning rates by name: `xlm-roberta-large`, `xlm-mlm-100-1280`, others",
        "scripts/train_xnli.sh:39-47",
        "by configuration: XLM-R from 24 layers and a width of 1,024 on, XLM from a width of 1,280 on, others",
        "copies, further trained encoders and XLM-R XL have no such name",
        lambda: _recipe("mnli", large=True).learning_rate == 3e-5 and _recipe("mnli").learning_rate == 2e-5,
    ),
    Difference(
        "Intermediate tasks: texts and loss",
        "none",
        "scripts/train_lareqa.sh:27-34",
        "COPA and the pairs of LAReQA and Mewsli-X have XTREME-R's texts, loss and batches as targets only; as "
        "intermediate tasks the usual texts, and mean states ranked in both directions",
        "bitext retrieval, which follows such an intermediate task, compares mean states",
        lambda: (
            Recipes("xtreme").in_form(task("copa"), "intermediate") is task("copa")
            and _recipe("squad_pairs", "intermediate").ranking == "two-way"
        ),
    ),
    Difference(
        "Mewsli-X: rate and batch",
        "mBERT 2e-5 and 256 pairs, XLM-R Large 1e-5 and 32 pairs, no values for others",
        "scripts/train_mewslix.sh:33-49",
        "those of XLM-R Large from 24 layers and a width of 1,024 on, those of mBERT for all other encoders",
        "every encoder needs values",
        lambda: (
            [
                (recipe.learning_rate, recipe.batch_size, recipe.pairs_ranked)
                for recipe in (_recipe("mewslix_pairs", large=True), _recipe("mewslix_pairs"))
            ]
            == [(1e-5, 32, 8), (2e-5, 256, 64)]
        ),
    ),
    Difference(
        "LAReQA: checkpoint",
        "chosen by the loss on SQuAD's development data: step 9,000 (mBERT) and 10,000 (XLM-R Large) of about 16,400",
        "scripts/run_eval_lareqa.sh:24-26",
        "the last one",
        "the choice was made by hand; no rule is published",
        lambda: _recipe("squad_pairs").selection is None and _recipe("squad_pairs").steps is None,
    ),
)
DATA = (
    Difference(
        "LAReQA: sentences of SQuAD",
        "found by a rule-based sentence breaker; questions whose answer is in no sentence are left out",
        "third_party/processors/lareqa.py:249-299",
        "a sentence ends at `.`, `!` or `?` before a space and no lower-case letter",
        "the breaker is a program of its own; XQuAD-R's sentences, those of the test, are as published",
        lambda: "sentence_at(" in _module_of(squad_pairs),
    ),
    Difference(
        "XCOPA, SIQA: long inputs",
        "cut at the end of the longer text",
        "third_party/run_xcopa.py:326-330",
        "cut at the start of the context",
        "the question and the choice stay whole, as in jiant; with XLM-R's tokens no example of COPA, XCOPA or SIQA's "
        "development set is that long",
        lambda: "prompt[start:]" in _source(multiple_choice.encode),
    ),
    Difference(
        "XCOPA, SIQA: pooler",
        "starts from the encoder's own pooler where that is stored",
        "third_party/run_xcopa.py:274-281",
        "SIQA starts from a new one; COPA continues SIQA's head, as there",
        "every phase begins with a new head, unless the recipe continues it",
        lambda: (_recipe("siqa").head, _recipe("copa").head) == ("new", "continued"),
    ),
    Difference(
        "TyDiQA: training data",
        "the questions of all nine languages in each language's file",
        "jiant/scripts/download_data/dl_datasets/xtreme.py:427-434",
        "the 3,696 English ones, counted",
        "the transfer is zero-shot only then; XTREME's own script trains on the English ones",
        lambda: task("tydiqa").counts["train"] == 3696 and task("tydiqa").trained_in == ("en",),
        JIANT,
    ),
)
READING = (
    Difference(
        "UD-POS, PAN-X: long sentences",
        "cut at the maximum length; the words beyond it are missing from gold and prediction",
        "jiant/tasks/lib/udpos.py:84-94",
        "split between words and joined again, as XTREME does",
        "every word is scored",
        lambda: "split_sentence" in _source(token_classification.encode),
        JIANT,
    ),
    Difference(
        "UD-POS: score",
        "F1 over chunks of bare tags, by which some neighbouring tags are one chunk",
        "evaluate.py:74-78",
        "the same F1 as the headline, and token accuracy beside it",
        "the two differ by several points and must not be compared",
        lambda: task("udpos").metric == "pos_f1" and "token_accuracy" in _source(metric("pos_f1")),
    ),
    Difference(
        "Question answering: windows",
        "stride 128, 64 tokens of a question, at length 384",
        "third_party/run_squad.py:576-588",
        "a third and a sixth of the maximum length: the same at 384, smaller at smaller lengths",
        "short sequences have room for the context",
        lambda: all(part in _source(extractive_qa.encode) for part in ("max_length // 6", "max_length // 3")),
    ),
    Difference(
        "Question answering: answers",
        "rebuilt from tokens and aligned with the text again",
        "third_party/run_squad.py:403-417",
        "cut from the text by character offsets; at most 30 tokens, of the 20 best starts and ends, as there",
        "languages without spaces lose no answers",
        lambda: (extractive_qa.LONGEST_ANSWER, extractive_qa.N_BEST) == (30, 20),
    ),
    Difference(
        "MLQA",
        "scored with MLQA's own script in each language",
        "evaluate.py:105-109",
        "the same; XQuAD and TyDiQA with SQuAD's, as there",
        "stated because other tools use SQuAD's script for all three",
        lambda: (task("mlqa").metric, task("xquad").metric, task("tydiqa").metric) == ("mlqa", "squad", "squad"),
    ),
)
RETRIEVAL = (
    Difference(
        "Tatoeba: layer",
        "layer 14 of 24 (8 of 12)",
        "scripts/run_tatoeba.sh:28-42",
        "the best layer on one development language; the fixed one, round(14/24 of the depth), in each score",
        "layer 14 means nothing at another depth",
        lambda: chosen_layer(25, None) == 14 and chosen_layer(13, None) == 7 and FIXED_DEPTH == 14 / 24,
    ),
    Difference(
        "Tatoeba, BUCC: layer",
        "mean over the tokens of layer 14",
        "jiant/scripts/benchmarks/xtreme/xtreme_runconfig_writer.py:119-124",
        "mean over the tokens of all layers; the fixed and the chosen one are both in each score",
        "as above",
        lambda: chosen_layer(25, None) == 14,
        JIANT,
    ),
    Difference(
        "BUCC: vectors",
        "the first token, at index 7 of the last 12 layers",
        "scripts/run_bucc2018.sh:66-75",
        "the mean over the tokens, at the layer and threshold that are best on the language's development pairs",
        "states of the first token alone are not kept, so the official setting is not implemented",
        lambda: "mean_pool" in _source(bitext_mining.predict),
    ),
    Difference(
        "LAReQA, Mewsli-X: encoders",
        "BERT and XLM-R, whose first token goes through their tanh pooler",
        "third_party/bert.py:41-50",
        "the same; other families have a tanh layer of their own over the state that their classification heads pool",
        "every encoder can be compared",
        lambda: all(part in _source(DualEncoderHead) for part in ("torch.tanh", "head_row")),
    ),
    Difference(
        "LAReQA, Mewsli-X: pooler after an intermediate task",
        "no intermediate training; the pooler is that of the pretrained encoder",
        "third_party/run_retrieval_qa.py:624-629",
        "that of the encoder where it is stored; after an intermediate task whose head has none, a new one",
        "a phase passes on what its head has",
        lambda: "read_tensors" in _source(attach_dual_encoder),
    ),
    Difference(
        "LAReQA, Mewsli-X: encoders without training",
        "measured by the first token after the pooler",
        "scripts/run_eval_mewslix.sh:18-21",
        "measured by the mean over the tokens of the last layer",
        "pretrained XLM-R has no trained pooler",
        lambda: all(part in _source(passage_ranking.predict) for part in ("in network.heads", "mean_pool")),
    ),
)
PAPER = (
    Difference(
        "`phang2020`: epochs and batch",
        "2 epochs (XNLI, question answering), 5 (PAWS-X), 10 (UD-POS, PAN-X); batch 32, 16 for question answering",
        "jiant/scripts/benchmarks/xtreme/subscripts/d_write_configs.sh:10-64",
        "the same",
        "stated because they differ from XTREME's",
        lambda: (
            [
                (_recipe(name, set_name="phang2020").epochs, _recipe(name, set_name="phang2020").batch_size)
                for name in ("mnli", "pawsx", "udpos", "panx", "squad", "tydiqa")
            ]
            == [(2, 32), (5, 32), (10, 32), (10, 32), (2, 16), (2, 16)]
        ),
        JIANT,
    ),
    Difference(
        "`phang2020`: selection",
        "every 1,000 steps on 500 development examples of the training task, patience 30",
        "jiant/scripts/benchmarks/xtreme/subscripts/e_run_models.sh:15-17",
        "the same, and after the last step; where there is no development set, training examples are held out",
        "TyDiQA and translated MNLI have no development set",
        lambda: Recipes("phang2020").of((task("tydiqa"),), "target").selection == Selection(1000, 30, 500),
        JIANT,
    ),
    Difference(
        "`phang2020`: UD-POS",
        "33 languages, four of them without development data",
        "jiant/scripts/benchmarks/xtreme/xtreme_runconfig_writer.py:10-21",
        "33 in XTREME, 38 in XTREME-R",
        "XTREME-R has five more",
        lambda: len(XTREME_R.languages["udpos"]) == 38,
        JIANT,
    ),
)
SECTIONS = {
    "Recipe `xtreme`": RECIPES,
    "Data": DATA,
    "Model inputs and scores": READING,
    "Retrieval": RETRIEVAL,
    "Recipe `phang2020`": PAPER,
}
DIFFERENCES = tuple(difference for section in SECTIONS.values() for difference in section)


def _places(name: str) -> list[str]:
    return [pattern for source in task(name).sources for pattern in source.patterns("train", "en")]


def page() -> str:
    """Return the page as Markdown."""
    links = {name.partition("/")[2]: f"https://github.com/{name}/tree/{commit}" for name, commit in COMMITS.items()}
    parts = [HEAD.format(**links)]
    for title, rows in SECTIONS.items():
        lines = [f"## {title}", "", "| | official | there | xstilts | why |", "| --- | --- | --- | --- | --- |"]
        cells = ((row.topic, row.official, row.link, row.ours, row.why) for row in rows)
        parts.append("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells), ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
