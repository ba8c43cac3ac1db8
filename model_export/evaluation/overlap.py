"""Whether a model has met the people it is measured on, as far as its run can tell.

A face seen in training is recognised, forged or not, and figures of it are not those of new people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from model_export.data.prepared import PreparedVideo
from model_export.errors import DataError, TrainingError
from model_export.training.run_folder import RunRecord
from model_export.training.sources import open_sources

NAMED = 5
"""So many people are named in a warning; of the rest the number stands there."""


@dataclass(frozen=True, slots=True)
class Met:
    """Names of people: those in the clips a model was ``trained`` on, and those in the clips by
    which its epochs were ``chosen``. Empty where that is not known."""

    trained: frozenset[str] = frozenset()
    chosen: frozenset[str] = frozenset()

    def warnings(self, people: Iterable[str]) -> Iterator[str]:
        """A sentence for each way in which the model has met some of ``people``."""
        measured = frozenset(people)
        ways = {"was trained on": self.trained, "had its epoch chosen by": self.chosen}
        for how, known in ways.items():
            again = sorted(measured & known)
            if again:
                rest = f" and {len(again) - NAMED} more" if len(again) > NAMED else ""
                yield (
                    f"the model {how} {len(again)} of the {len(measured)} people measured "
                    f"here, going by their names ({', '.join(again[:NAMED])}{rest}): these figures "
                    "are not of new people"
                )


def met(records: Iterable[RunRecord]) -> Met:
    """Whom a run and those before it have met. A dataset that is gone, or no longer the one that
    was trained on, tells nothing."""
    trained: set[str] = set()
    chosen: set[str] = set()
    for record in records:
        try:
            sources = open_sources(record.config, 0, record.devices)
        except (DataError, TrainingError):
            continue
        if sources.record.data_sha256 == record.data_sha256:
            trained |= _people(sources.training.used)
            chosen |= _people(sources.validation.used)
    return Met(frozenset(trained), frozenset(chosen))


def _people(videos: Iterable[PreparedVideo]) -> frozenset[str]:
    return frozenset[str]().union(*(row.video.people for row in videos))
