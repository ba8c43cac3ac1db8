"""How the papers train: on one domain, on several at once, or on few videos after another model.

Tariq et al., WWW '21, sections 4 and 5; a domain is one forgery method with its real videos.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from model_export.evaluation.methods import in_words

Kind = Literal["single", "merge", "transfer"]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to come to a model.

    ``single`` and ``merge`` train on all videos of ``sources``. ``transfer`` starts from the model
    of ``sources`` (single, or merge where they are several) and goes on with few videos of each
    source and each target. Methods are sorted, so that equal strategies are equal.
    """

    kind: Kind
    sources: tuple[str, ...]
    targets: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method the model saw."""
        return tuple(sorted({*self.sources, *self.targets}))

    @property
    def start(self) -> Strategy | None:
        """The strategy of the model this one starts from."""
        return from_scratch(self.sources) if self.kind == "transfer" else None

    def __str__(self) -> str:
        """As the papers write it: ``merge FS+NT``, ``transfer NT->DF+FS``."""
        return f"{self.kind} {in_words(self.sources, self.targets)}"

    @property
    def slug(self) -> str:
        """``str(self)`` fit for a folder's name."""
        return str(self).replace(" ", "-").replace("->", "-to-")


def from_scratch(methods: Iterable[str]) -> Strategy:
    """Training from random weights: ``single`` for one method, ``merge`` for several."""
    sources = tuple(sorted(set(methods)))
    if not sources:
        raise ValueError("a strategy needs a method")
    return Strategy("single" if len(sources) == 1 else "merge", sources)


def transfer(sources: Iterable[str], targets: Iterable[str]) -> Strategy:
    """One or several sources to one or several targets; from several it is merge then transfer."""
    known, new = tuple(sorted(set(sources))), tuple(sorted(set(targets)))
    if not known or not new or set(known) & set(new):
        raise ValueError("a transfer needs sources and, apart from them, targets")
    return Strategy("transfer", known, new)
