"""Is tuning some layers in the intermediate phase as good as tuning all, and how much cheaper?

The intermediate phase trains all weights, the upper or the lower half of the layers, only the norms, or adapters; the
target phase always trains all of them.
"""

from __future__ import annotations

from xstilts.claim import Claim
from xstilts.encoder import Encoder
from xstilts.grid import Grid, tasks_of
from xstilts.run import Recipes
from xstilts.study import Arm, Study
from xstilts.tidy import Gain

PARTS = {"all": "all", "upper half": "top:2", "lower half": "bottom:2", "norms": "layernorm", "adapters": "lora:8"}


def study(scale: str) -> Study:
    """Return the study at a scale."""
    encoder, target, intermediate, recipe, seeds = {
        "sandbox": ("sandbox", "sandbox_qa", "sandbox_cloze", "sandbox", 2),
        "small": ("work/small-encoder", "xnli", "snli", "small", 3),
        "full": ("FacebookAI/xlm-roberta-large", "xquad", "mnli", "xtreme", 5),
    }[scale]
    arms = tuple(
        Arm(
            Grid(
                Encoder.of(encoder),
                tasks_of(target),
                (tasks_of(intermediate),),
                Recipes(recipe, intermediate=(f"trained={part}",)),
                seeds,
            ),
            name,
        )
        for name, part in PARTS.items()
    )
    claims = [Claim("Intermediate training helps", Gain(intermediate, target, recipe="all"), "above")]
    claims += [
        Claim(f"It helps when only the {name} learn", Gain(intermediate, target, recipe=name), "above")
        for name in PARTS
        if name != "all"
    ]
    claims += [
        Claim(
            f"When only the {name} learn it is as good as when all do",
            Gain(intermediate, target, over=intermediate, recipe=name, over_recipe="all"),
            "equivalent",
            margin=2.0,
        )
        for name in PARTS
        if name != "all"
    ]
    return Study(__doc__ or "", arms, tuple(claims))
