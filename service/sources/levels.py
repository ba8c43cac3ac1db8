"""What the representations of an MPEG-DASH manifest inherit from the elements they lie in."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from service.errors import OverLimits
from service.sources.pieces import MOST, too_many
from service.sources.url import Url

_CHILDREN = 500
"""Of what a representation lies in, all of which are gone through for each of them."""


@dataclass(frozen=True, slots=True)
class Level:
    """What a representation inherits: elements from the manifest down to it."""

    chain: tuple[Element, ...]
    base: Url

    def down(self, element: Element) -> Level:
        """That of a child. Raises ``OverLimits`` and ``UrlBlocked``."""
        if len(element) > _CHILDREN:
            raise OverLimits(f"A part of a manifest may hold at most {_CHILDREN} others.")
        own = child_of(element, "BaseURL")
        base = self.base if own is None else self.base.join((own.text or "").strip())
        return Level((*self.chain, element), base)

    def attribute(self, name: str, default: str = "") -> str:
        """The nearest value."""
        found = (each.get(name) for each in reversed(self.chain))
        return next((value for value in found if value is not None), default)

    def segments(self, name: str) -> Segments | None:
        """``SegmentTemplate``, ``SegmentList`` or ``SegmentBase``, whose parts may stand on several
        levels; None where it stands on none. Raises ``OverLimits``."""
        found = [child for each in self.chain if (child := child_of(each, name)) is not None]
        if any(len(each) > MOST + 1 for each in found):  # Segments, and what stands before them.
            raise too_many()
        return Segments(tuple(reversed(found))) if found else None


@dataclass(frozen=True, slots=True)
class Segments:
    """Elements of one name, the nearest first."""

    elements: tuple[Element, ...]

    def attribute(self, name: str, default: str = "") -> str:
        """The nearest value."""
        found = (each.get(name) for each in self.elements)
        return next((value for value in found if value is not None), default)

    def child(self, name: str) -> Element | None:
        """The nearest of the elements below that has this name."""
        found = (child_of(each, name) for each in self.elements)
        return next((child for child in found if child is not None), None)

    @property
    def timescale(self) -> int:
        """Units of a second. Raises ``ValueError``."""
        return max(1, int(self.attribute("timescale", "1")))

    @property
    def named(self) -> list[Element]:
        """Of a list, what stands for one segment each."""
        return [each for each in self.elements[0] if name_of(each) == "SegmentURL"]

    @property
    def seconds(self) -> float:
        """Of a list, how long each segment lasts. Raises ``ValueError``."""
        return int(self.attribute("duration", "0")) / self.timescale


def child_of(element: Element, wanted: str) -> Element | None:
    """The first of this name."""
    return next((each for each in element if name_of(each) == wanted), None)


def name_of(element: Element) -> str:
    """Without its namespace."""
    return str(element.tag).rpartition("}")[2]
