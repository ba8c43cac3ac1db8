"""Ways of doing the same, measured in turns, so that what else the machine does hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Result = TypeVar("Result")


@dataclass(frozen=True)
class Spread:
    """A median and the extremes of what it was taken of."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of one value or more."""
        found = sorted(values)
        return cls(median(found), found[0], found[-1])

    def text(self, digits: int = 2) -> str:
        """Such as ``1.20 (1.19 to 1.38)``."""
        middle, low, high = (f"{each:.{digits}f}" for each in (self.middle, self.low, self.high))
        return f"{middle} ({low} to {high})"


def ratios(ones: Sequence[float], others: Sequence[float]) -> Spread:
    """Of ``ones`` to ``others``, round by round. Raises ``ValueError`` where a round is missing."""
    return Spread.of(one / other for one, other in zip(ones, others, strict=True))


def in_turns(
    ways: Mapping[str, Callable[[], Result]], rounds: int, what: str = "measuring"
) -> dict[str, list[Result]]:
    """What each way gives, in every round once.

    Every other round runs backwards, so that what grows with time favours nobody. Shows progress
    on standard error.
    """
    found: dict[str, list[Result]] = {name: [] for name in ways}
    forwards = list(ways)
    plan = [name for turn in range(rounds) for name in forwards[:: -1 if turn % 2 else 1]]
    for name in track(plan, what, console=Console(stderr=True), transient=True):
        found[name].append(ways[name]())
    return found
