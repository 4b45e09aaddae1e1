"""Stats: intervals and tests for few seeds and many examples.

Every measurement becomes an `Estimate`: a value, its variance from seed to seed, and its variance through the examples
that all seeds share. Its interval and its p-value come from one distribution, so that they cannot contradict each
other. Modules: `seed_summary` (means over seeds), `estimates`, `bootstrap` (from examples to an estimate),
`paired_tests` (randomisation, stochastic order), `multiple_testing` (Holm), `power`, `regression`, `equivalence`,
`rank_correlation`.

>>> found = Estimate(2.0, between=0.5, count=5, units=0.1)
>>> low, high = found.interval()
>>> (round(low, 2), round(high, 2), found.p() < 0.05)
(0.96, 3.04, True)
"""

from xstilts.stats.bootstrap import PLAIN, Draws, Headline, Resampling, combined, draw, estimate, share, spread
from xstilts.stats.equivalence import beyond, tost
from xstilts.stats.estimates import Estimate
from xstilts.stats.multiple_testing import distinct, holm
from xstilts.stats.paired_tests import almost_order, randomisation, randomise_seeds
from xstilts.stats.power import PowerTarget, detectable, power, seeds_needed
from xstilts.stats.rank_correlation import Correlation, correlation
from xstilts.stats.regression import PowerLaw, power_law, slope
from xstilts.stats.seed_summary import Summary, gain, summary

__all__ = [
    "PLAIN",
    "Correlation",
    "Draws",
    "Estimate",
    "Headline",
    "PowerLaw",
    "PowerTarget",
    "Resampling",
    "Summary",
    "almost_order",
    "beyond",
    "combined",
    "correlation",
    "detectable",
    "distinct",
    "draw",
    "estimate",
    "gain",
    "holm",
    "power",
    "power_law",
    "randomisation",
    "randomise_seeds",
    "seeds_needed",
    "share",
    "slope",
    "spread",
    "summary",
    "tost",
]
