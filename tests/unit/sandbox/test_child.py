"""How a child pulls its media."""

from __future__ import annotations

from service.sandbox.child import Pulled
from service.sandbox.messages import BLOCK, Read, from_child

SIZE = 6 * BLOCK + 1000


def byte_at(place: int) -> int:
    return place * 7 % 251


class Parent:
    """Answers a child's questions and notes them."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self._answer = b""

    def send(self, head: str) -> None:
        read = from_child(head.encode())
        assert isinstance(read, Read)
        assert read.offset + read.size <= SIZE
        self.asked.append(read.offset // BLOCK)
        self._answer = bytes(map(byte_at, range(read.offset, read.offset + 64)))
        self._answer = self._answer.ljust(read.size, b"\xff")

    def receive(self) -> tuple[bytes, bytes]:
        return b"", self._answer


def test_blocks_are_asked_for_once_while_they_are_used_and_only_four_are_kept() -> None:
    parent = Parent()
    media = Pulled(parent, SIZE)  # type: ignore[arg-type]
    for number in (0, 0, 1, 2, 3, 0):
        start = number * BLOCK
        assert media.read(start, 64) == bytes(map(byte_at, range(start, start + 64)))
    assert parent.asked == [0, 1, 2, 3]
    media.read(4 * BLOCK, 1)  # Now the first is the one last used, the second is let go.
    media.read(0, 1)
    assert parent.asked == [0, 1, 2, 3, 4]
    media.read(BLOCK, 1)
    assert parent.asked == [0, 1, 2, 3, 4, 1]


def test_a_read_may_cross_blocks_and_ends_with_the_media() -> None:
    parent = Parent()
    media = Pulled(parent, SIZE)  # type: ignore[arg-type]
    across = media.read(BLOCK - 2, 10)
    assert across == b"\xff\xff" + bytes(map(byte_at, range(BLOCK, BLOCK + 8)))
    assert len(media.read(SIZE - 10, 100)) == 10
    assert media.read(SIZE, 100) == media.read(SIZE + 5, 1) == b""
    assert parent.asked == [0, 1, 6]
