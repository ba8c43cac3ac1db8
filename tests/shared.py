"""Large files kept beside the repository, for tests that a plain clone skips."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Folder of videos, weights and reference outputs that are not part of the repository."""


def needs_shared(*parts: str) -> pytest.MarkDecorator:
    """Skip a test, or a module by ``pytestmark``, where ``SHARED/<parts>`` is absent."""
    path = SHARED.joinpath(*parts)
    return pytest.mark.skipif(not path.exists(), reason=f"needs {path}")
