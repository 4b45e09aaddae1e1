"""Recommend: rank intermediate tasks for a target without training them all in full.

The cheap methods come first, on short trainings: how well the states after them predict the target's labels (LogME,
H-score, neighbours), how similar the tasks are (TextEmb, TaskEmb; Vu et al. 2020). Poth et al. 2021 compare such
methods. Then probes, which train on the target too, in rounds that get longer while candidates get fewer. What the
budget does not allow is left out and reported.

    advice = recommend(CandidateSearch(encoder, task("xnli"), candidates, Recipes()), machine, hours=2.0)
    advice.combined()
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate

import numpy as np

from xstilts import metrics, stats
from xstilts.claims.results_table import contributions
from xstilts.errors import InputError
from xstilts.evaluation.score import CONTRIBUTIONS
from xstilts.metrics.base import Array
from xstilts.models import encoder_check
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.runtime.machine import Runtime
from xstilts.selection import successive_halving, task_embeddings
from xstilts.selection.budget import Budget
from xstilts.selection.features import read as read_features
from xstilts.selection.probes import CandidateSearch, ProbeStages, development
from xstilts.selection.recommendation import Advice, Figure
from xstilts.selection.successive_halving import Round, Rung, Standing
from xstilts.selection.transferability import alike
from xstilts.stats import Summary
from xstilts.store.names import BASELINE
from xstilts.store.stage import Stage, folder_of

STATES, ROUND = "probes and states", "round"
HOUR = 3600

Found = dict[str, dict[str, Figure]]
Names = tuple[str, ...]


def recommend(search: CandidateSearch, machine: Runtime, hours: float = math.inf) -> Advice:
    """Rank candidates by all methods that the target allows and the budget pays for.

    Args:
        search: Encoder, target and candidates.
        machine: Where stages are built.
        hours: Budget of stage time, whenever they were built; kept to within the first training of each sort, whose
            cost is not known.

    Returns:
        Each method's figures, the rounds of probes, what was spent, and what is missing.
    """
    machine.require_device()
    if isinstance(search.encoder, Encoder):
        encoder_check.check(search.encoder, machine.store)
    scorer = CandidateScorer(ProbeStages(search, machine.data), Budget(machine, hours * HOUR))
    rungs = successive_halving.ladder(len(search.candidates), search.steps, search.seeds)
    missing: list[str] = []
    figures: Found = {}
    for method in (scorer.by_states, scorer.by_texts, scorer.by_fisher):
        figures |= _tried(partial(method, rungs[0]), missing)
    cheap = Advice("", search.target.label, search.names, figures).combined()
    rounds = _rounds(scorer, tuple(cheap) or search.names, rungs, missing)
    figures |= of_rounds(rounds)
    missing += [f"the budget did not reach {skipped}" for skipped in scorer.unpaid]
    spent = {purpose: round(seconds, 3) for purpose, seconds in scorer.budget.spent.items()}
    return Advice(
        name_of(search.encoder),
        search.target.label,
        search.names,
        figures,
        rounds,
        spent,
        hours * HOUR,
        scorer.budget.built,
        tuple(missing),
    )


def _tried(method: Callable[[], Found], missing: list[str]) -> Found:
    """Return a method's figures; where the target does not allow it, none, and add the reason to `missing`."""
    try:
        return method()
    except InputError as error:
        missing.append(str(error))
        return {}


def _rounds(scorer: CandidateScorer, names: Names, rungs: tuple[Rung, ...], missing: list[str]) -> tuple[Round, ...]:
    """Return the rounds of probes, with candidates in the order of the cheap methods; none without data."""
    try:
        development(scorer.stages.search, scorer.stages.folder)
    except InputError as error:
        missing.append(str(error))
        return ()
    return successive_halving.halve(names, rungs, scorer.standings, scorer.room)


@dataclass
class CandidateScorer:
    """Measures candidates by each method, as far as the budget allows.

    Attributes:
        stages: What to build.
        budget: Builds and charges it.
        unpaid: What the budget did not allow; added to.
    """

    stages: ProbeStages
    budget: Budget
    unpaid: list[str] = field(default_factory=list)

    def by_states(self, rung: Rung) -> Found:
        """Score candidates by how well hidden states predict the target's labels.

        Args:
            rung: Steps and seeds of the probes.

        Returns:
            By measure ("logme", "h_score", "knn" or the like) the figures of each candidate: by how much the measure is
            higher after its probe than in the encoder as it is.
        """
        before = self._measured(BASELINE, rung, [1])
        after = {name: self._measured(name, rung, _seeds(rung)) for name in self.stages.search.names}
        return {
            method: {
                n: _figure(stats.gain(own * len(by_measure[method]), by_measure[method]))
                for n, by_measure in after.items()
                if by_measure
            }
            for method, own in before.items()
        }

    def by_texts(self, rung: Rung) -> Found:
        """Score candidates by the similarity of their texts to the target's (TextEmb).

        Args:
            rung: Ignored: nothing is trained.

        Returns:
            "textemb" with the figures of each candidate.
        """
        names = (BASELINE, *self.stages.search.names)
        return {"textemb": self._near({name: [self.stages.text(name)] for name in names}, "texts")}

    def by_fisher(self, rung: Rung) -> Found:
        """Score candidates by the similarity of their Fisher information to the target's (TaskEmb).

        Args:
            rung: Steps and seeds of the probes.

        Returns:
            "taskemb" with the figures of each candidate.
        """
        names = (BASELINE, *self.stages.search.names)
        promised = {name: [self.stages.embedding(name, rung, seed) for seed in _seeds(rung)] for name in names}
        return {"taskemb": self._near(promised, "Fisher")}

    def standings(self, names: Names, rung: Rung) -> tuple[Standing, ...]:
        """Build the probes of a round and order its candidates.

        Args:
            names: Candidates, in the order in which to measure them; the baseline comes before them.
            rung: Steps and seeds of the probes.

        Returns:
            Standings, the best first, of the candidates that the budget reached; none if it reached not even the first.
        """
        scores: dict[str, Array] = {}
        for name in (BASELINE, *names):
            promised = _probes(self.stages, name, rung)
            if not self._paid(_round(rung), name, promised):
                break
            folders = [folder_of(stage, self.budget.machine) for stage in promised]
            scores[name] = np.stack([contributions(folder / CONTRIBUTIONS) for folder in folders])
        metric = development(self.stages.search, self.stages.folder)[0].metric
        return standing(scores, metric) if len(scores) > 1 else ()

    def room(self, names: Names, rung: Rung) -> int:
        """Return how many candidates of a round the budget allows.

        Args:
            names: Candidates, in the order in which to measure them; the baseline comes before them.
            rung: Steps and seeds of the probes.

        Returns:
            The number of candidates; where it is below two, the round is added to `unpaid`.
        """
        prices = [self.budget.expected(name, _probes(self.stages, name, rung)) for name in (BASELINE, *names)]
        places = sum(total <= self.budget.left for total in accumulate(prices)) - 1
        if places < 2:
            needed = f"the baseline, {' and '.join(names[:2])}"
            self.unpaid.append(
                f"{_round(rung)} ({needed}: about {sum(prices[:3]):.0f} s, {self.budget.left:.0f} s left)"
            )
        return places

    def _near(self, promised: dict[str, list[Stage]], purpose: str) -> dict[str, Figure]:
        """Return the similarity of each candidate's embedding to the target's, over seeds."""
        embeddings: dict[str, list[task_embeddings.Embedding]] = {}
        for name, stages in promised.items():
            if self._paid(purpose, name, stages):
                embeddings[name] = [task_embeddings.read(folder_of(stage, self.budget.machine)) for stage in stages]
        own = embeddings.pop(BASELINE, [])
        if not own:
            return {}
        near = {
            name: [alike(*pair) for pair in zip(own, own_embeddings, strict=True)]
            for name, own_embeddings in embeddings.items()
        }
        return {name: _figure(stats.summary(values)) for name, values in near.items()}

    def _measured(self, name: str, rung: Rung, seeds: Sequence[int]) -> dict[str, list[float]]:
        """Return each measure of a candidate's states by seed; nothing where the budget did not allow it."""
        promised = [self.stages.features(name, rung, seed) for seed in seeds]
        if not self._paid(STATES, name, promised):
            return {}
        measures = [
            read_features(folder_of(stage, self.budget.machine), stage.arguments["asking"].format).measures()
            for stage in promised
        ]
        return {method: [by_measure[method] for by_measure in measures] for method in measures[0]}

    def _paid(self, purpose: str, name: str, promised: Sequence[Stage]) -> bool:
        """Build stages if the budget allows it; note in `unpaid` where it did not."""
        if paid := self.budget.pay(purpose, name, promised):
            return paid
        self.unpaid.append(f"'{name}' in {purpose}")
        return False


def standing(scores: dict[str, Array], metric: str) -> tuple[Standing, ...]:
    """Order candidates by their gain over the baseline, the best first.

    Args:
        scores: By name, "baseline" among them, what each example contributed, (seeds, examples, k); seeds and examples
            are the same for all.
        metric: Which computes a headline from contributions.

    Returns:
        Standings with gains over the baseline and distances to the leader.
    """
    gain = partial(stats.estimate, headline=partial(metrics.headlines, metric))
    gains = {
        name: gain(candidate_scores, scores[BASELINE]) for name, candidate_scores in scores.items() if name != BASELINE
    }
    first, *rest = sorted(gains, key=lambda name: -gains[name].value)
    behind = [Standing(name, gains[name], gain(scores[first], scores[name])) for name in rest]
    return (Standing(first, gains[first]), *behind)


def of_rounds(rounds: Sequence[Round]) -> Found:
    """Return the figures of probes.

    Args:
        rounds: The rounds that were finished.

    Returns:
        "probe" with the gains in the first round and, of several rounds, "halving" with each candidate's last gain.
    """
    figures: Found = {}
    if rounds:
        figures["probe"] = {entry.name: _gain(entry) for entry in rounds[0].standings}
    if len(rounds) > 1:
        orders = successive_halving.order(rounds)
        last = {entry.name: entry for finished in rounds for entry in finished.standings}
        figures["halving"] = {name: replace(_gain(entry), order=orders[name]) for name, entry in last.items()}
    return figures


def _gain(entry: Standing) -> Figure:
    return Figure(entry.gain.value, *entry.gain.interval())


def _figure(summary: Summary) -> Figure:
    return Figure(summary.mean, summary.low, summary.high)


def _probes(stages: ProbeStages, name: str, rung: Rung) -> list[Stage]:
    return [stages.score(name, rung, seed) for seed in _seeds(rung)]


def _seeds(rung: Rung) -> range:
    return range(1, rung.seeds + 1)


def _round(rung: Rung) -> str:
    return f"{ROUND} {rung.number + 1}"
