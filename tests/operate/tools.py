"""Programs of the environment that ``scripts/setup deploy`` makes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = REPOSITORY / ".venv-deploy"

# Where CI is set they have to be there: what looks for them fails.
needs_tools = pytest.mark.skipif(
    not ENVIRONMENT.exists() and "CI" not in os.environ,
    reason="needs the programs that scripts/setup deploy installs",
)


def tool(
    *command: str | Path, text: str = "", cwd: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    """Run a program of that environment; ``text`` is what it reads."""
    program = ENVIRONMENT / "bin" / command[0]
    return subprocess.run(
        [program, *command[1:]], cwd=cwd, input=text, capture_output=True, text=True, timeout=100
    )


def asked(script: Path, question: object) -> Any:
    """What a script of this repository answers there; both are JSON."""
    answer = tool("python", script, text=json.dumps(question))
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)
