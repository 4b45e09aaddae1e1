"""Few-shot target training: a trained model is trained further on some examples of the language that it predicts.

Zero-shot transfer sees no labels of the target language. How much a handful of them adds is the usual next question
(Lauscher et al. 2020, "From Zero to Hero", arXiv 2005.00633; Zhao et al. 2021, arXiv 2012.15682). The target's model
keeps its head; each language has a training of its own, and its model predicts that language alone.

>>> FewShot.of("10:2")
FewShot(shots=10, draw=2, settings=())
>>> recipe = FewShot(10).recipe(Recipe(batch_size=32))
>>> recipe.epochs, recipe.batch_size
(10.0, 10)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xstilts.errors import InputError
from xstilts.runtime.text import counted
from xstilts.training.recipe import CONTINUED, Recipe, changed

EPOCHS = 10.0


@dataclass(frozen=True)
class FewShot:
    """A training on few examples of each target language.

    Attributes:
        shots: How many examples of a language; the same draw with more has the same first ones.
        draw: Which examples (`data.few_shot.drawn`), the same ones for all seeds.
        settings: Changes of the recipe, such as "epochs=20".

    Raises:
        InputError: A number is below 1, or the settings are unknown or select weights on development data.
    """

    shots: int
    draw: int = 1
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("shots", self.shots), ("draw", self.draw)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"few-shot training: {name} must be a whole number of 1 or more, not {value!r}")
        recipe = self.recipe(Recipe())
        if recipe.selection is not None or recipe.snapshots:
            raise InputError(
                "few-shot training has no development data of the target language to select weights on: set neither "
                "selection nor snapshots"
            )

    @classmethod
    def of(cls, text: str, settings: tuple[str, ...] = ()) -> FewShot | None:
        """Read "10" (shots) or "10:2" (of the second draw).

        Args:
            text: The text; "" for none.
            settings: Changes of the recipe.

        Raises:
            InputError: The text has another form, or there are changes and no shots.
        """
        if not text:
            if settings:
                raise InputError(f"{settings[0]} changes a few-shot training, and there is none: give --few-shot 10")
            return None
        shots, colon, draw = text.partition(":")
        if not shots.strip().isdecimal() or (colon and not draw.strip().isdecimal()):
            raise InputError(f"few-shot '{text}' is not understood: give a number of examples, 10, or a draw too, 10:2")
        return cls(int(shots), int(draw or 1), settings)

    def recipe(self, target: Recipe) -> Recipe:
        """Return the recipe of the training.

        It is the target's, with its head, ten epochs, the last weights, batches of no more than the examples that there
        are, and a warm-up of a tenth where the target's is a number of steps.

        Args:
            target: The recipe of the target's training.
        """
        few = replace(
            target,
            epochs=EPOCHS,
            steps=None,
            batch_size=min(target.batch_size, self.shots),
            max_train_examples=None,
            warmup_steps=target.warmup_steps if target.warmup_steps < 1 else 0.1,
            selection=None,
            snapshots=0,
            head=CONTINUED,
        )
        return changed(few, self.settings)

    @property
    def text(self) -> str:
        """What tables call it.

        >>> FewShot(10).text, FewShot(1, draw=3).text
        ('10 shots', '1 shot, draw 3')
        """
        shots = counted(self.shots, "shot")
        return shots if self.draw == 1 else f"{shots}, draw {self.draw}"
