"""The one command for all of them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, Benchmark, command, run


@pytest.mark.parametrize("benchmark_", BENCHMARKS, ids=lambda each: each.name)
@pytest.mark.parametrize("quick", [False, True])
def test_each_takes_its_parameters(
    benchmark_: Benchmark, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"benchmarks.{benchmark_.name}"
    _, _, *options = command(benchmark_, quick, keep=Path("kept"))
    monkeypatch.setattr("sys.argv", ["x", *options])

    class Parsed(Exception):
        pass

    def stop(*_: object, **__: object) -> None:
        raise Parsed

    # Each asks for the machine as soon as it has parsed its command line.
    monkeypatch.setattr("benchmarks.machine.machine", stop)
    monkeypatch.setattr("benchmarks.report.machine", stop)
    monkeypatch.delitem(sys.modules, name, raising=False)

    with pytest.raises(Parsed):
        runpy.run_module(name, run_name="__main__")


def test_one_that_fails_is_told_of() -> None:
    text, well = run(command(Benchmark("nothing_of_that_name"), quick=False, keep=None))

    assert not well
    assert "**Ended with status 1.**" in text
    assert "No module named benchmarks.nothing_of_that_name" in text
