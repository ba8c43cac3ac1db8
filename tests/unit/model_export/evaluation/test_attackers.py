"""Which attacker a tested method stands for."""

from __future__ import annotations

import pytest

from model_export.evaluation.attackers import attacker, by_attacker


@pytest.mark.parametrize(
    ("tested", "trained_on", "transferred_to", "expected"),
    [
        ("FS", ["FS"], [], "in-domain"),
        ("DF", ["FS"], [], "out-of-domain"),
        ("DFW", ["FS"], [], "open-domain"),
        ("DFW", ["FS", "DF", "F2F", "NT", "DFD"], [], "open-domain"),
        ("FS", ["FS"], ["DF"], "in-domain"),
        ("DF", ["FS"], ["DF"], "in-domain"),
        ("NT", ["FS"], ["DF"], "out-of-domain"),
        ("new", ["FS"], [], "open-domain"),
    ],
)
def test_attackers(
    tested: str, trained_on: list[str], transferred_to: list[str], expected: str
) -> None:
    assert attacker(tested, trained_on, transferred_to) == expected


def test_only_attackers_with_methods_are_named() -> None:
    found = by_attacker(["DF", "DFW", "FS", "NT"], ["FS"], ["NT"])
    assert found == {
        "in-domain": ["FS", "NT"],
        "out-of-domain": ["DF"],
        "open-domain": ["DFW"],
    }
    assert list(by_attacker(["FS"], ["FS"])) == ["in-domain"]
