"""What is made of whom: every stretch of a real video, its forgeries, and who lends them a face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_export.data.video import REAL, LabelledVideo
from model_export.synthetic.methods import METHODS
from model_export.synthetic.people import Person, generator
from model_export.synthetic.segments import Found, Sighting

STILL_ODDS = 0.3
"""Share of the training stretches whose swaps take a photograph's face, where there are any."""

Donor = tuple[Person, Found]


@dataclass(frozen=True, slots=True)
class Job:
    """A stretch and the methods it is forged by. Swaps need ``donor``."""

    person: Person
    found: Found
    donor: Donor | None
    methods: tuple[str, ...]

    @property
    def id(self) -> str:
        """Of the real video."""
        return f"{self.person.name}-{self.found.number}"

    def videos(self) -> list[LabelledVideo]:
        """The real video and those forged from it; places are relative to the benchmark."""
        own = frozenset({self.person.name})
        part = self.person.part
        real = LabelledVideo(
            self.id, f"videos/{REAL}/{self.id}.mp4", "real", REAL, part, people=own, sources=own
        )
        return [real, *(self._forged(name, own) for name in self.methods)]

    def _forged(self, name: str, own: frozenset[str]) -> LabelledVideo:
        both = own
        if self.donor and METHODS[name].needs_donor:
            both = own | {self.donor[0].name}
        id, part = f"{self.id}-{name}", self.person.part
        place = f"videos/{name}/{id}.mp4"
        return LabelledVideo(id, place, "fake", name, part, both, both, twin=self.id)


def jobs(
    people: Sequence[Person],
    stills: Sequence[Person],
    sightings: Mapping[str, Sighting],
    methods: Sequence[str],
    seed: int,
) -> Iterator[Job]:
    """A job for every stretch that was found. A donor is another person of the same part, or, for
    training alone, on a photograph. ``sightings`` are by name of person."""
    seen = [person for person in people if sightings[person.name].found]
    photographs = [still for still in stills if sightings[still.name].found]
    for person in seen:
        trains = person.part == "train"
        others = [other for other in seen if other.part == person.part and other != person]
        chosen = tuple(name for name in methods if not (trains and METHODS[name].held_out))
        for found in sightings[person.name].found:
            rng = generator(seed, "donor", person.name, str(found.number))
            lenders = others
            if trains and photographs and (rng.random() < STILL_ODDS or not others):
                lenders = photographs
            donor: Donor | None = None
            if lenders:
                lender = lenders[int(rng.integers(len(lenders)))]
                moments = sightings[lender.name].found
                donor = lender, moments[int(rng.integers(len(moments)))]
            yield Job(person, found, donor, chosen)
