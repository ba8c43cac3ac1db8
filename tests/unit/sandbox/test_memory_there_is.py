"""How much memory there is: no more than any control group around this process leaves it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.sandbox.ration import available


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("", {}, None),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "3000"}, 3000),
        ("0::/elsewhere\n", {"memory.max": "2000"}, 2000),
        (
            "5:cpu:/a\n4:memory:/a\n0::/\n",
            {
                "a/memory.max": "7",
                "memory/a/memory.limit_in_bytes": "4000",
                "memory/memory.limit_in_bytes": str(2**63 - 4096),
            },
            4000,
        ),
    ],
    ids=["none", "of a group around", "of a container", "version 1"],
)
def test_a_control_group_bounds_the_memory_there_is(
    lines: str, files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    mine = tmp_path / "cgroup"
    mine.write_text(lines)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available(tmp_path / "groups", mine) == (expected or machine)
