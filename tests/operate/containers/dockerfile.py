"""The Dockerfile's stages and what they do."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.operate.tools import REPOSITORY, asked, tool

DOCKERFILE = REPOSITORY / "Dockerfile"
_PARSER = Path(__file__).with_name("parser.py")


@dataclass
class Stage:
    """``base`` is an image, an argument or another stage."""

    name: str
    base: str
    does: list[tuple[str, str]] = field(default_factory=list)
    """Instructions and what follows each."""

    def all(self, instruction: str) -> list[str]:
        return [value for name, value in self.does if name == instruction]


def stages(text: str) -> list[Stage]:
    """In order; one without a name is called by its number."""
    found: list[Stage] = []
    for instruction, value in asked(_PARSER, text):
        if instruction == "FROM":
            base, _, name = value.partition(" AS ")
            found.append(Stage(name or str(len(found)), base))
        elif found:
            found[-1].does.append((instruction, value))
    return found


def inherited(stage: Stage, among: list[Stage]) -> list[tuple[str, str]]:
    """What a stage does and those it is built on did, the earliest first."""
    (base,) = [each for each in among if each.name == stage.base] or [None]
    return [*(inherited(base, among) if base else []), *stage.does]


def copied(stage: Stage) -> list[str]:
    """What it takes from the repository."""
    sources = []
    for value in stage.all("COPY"):
        words = shlex.split(value)
        if not any(word.startswith("--from=") for word in words):
            sources += words[:-1]
    return sources


def complaints(text: str) -> list[str]:
    """Of the linter, and of what it has no rule for."""
    linted = tool("hadolint", "--no-color", "-", text=text)
    found = linted.stdout.splitlines()
    every = stages(text)
    for stage in every:
        found += [f"{stage.name}: {each}" for each in _of_stage(stage, every)]
    return found


def _of_stage(stage: Stage, every: list[Stage]) -> list[str]:
    found = []
    names = {each.name for each in every}
    bases = {stage.base.replace("${HARDWARE}", each) for each in ("cpu", "gpu")}
    if not bases <= names | {"${BASE}", "scratch"}:
        found.append(f"another base, {stage.base}")
    if stage.all("ADD"):
        found.append("ADD may fetch anything")
    for run in stage.all("RUN"):
        for command in re.split(r"&&|;", run):
            pinned = "--require-hashes" in command or "/wheels/*.whl" in command
            if re.search(r"pip .*\binstall\b", command) and not pinned:
                found.append("what is installed has no hash")
            if "apt-get" in command:
                found.append("Debian's packages have no hash")
    if stage.name in ("cpu", "gpu") or stage is every[-1]:
        does = inherited(stage, every)
        users = [value for name, value in does if name == "USER"]
        if not users or users[-1].split(":")[0] in ("0", "root"):
            found.append("it runs as root")
        if not any(name == "HEALTHCHECK" for name, _ in does):
            found.append("nobody asks whether it is healthy")
        if any(name == "RUN" for name, _ in does):
            found.append("it holds what building left behind")
    return found
