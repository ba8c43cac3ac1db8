"""What the blocks of pages call, held against the programs without running them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from model_export.cli import app as models
from service.cli import app as service
from tests.docs.pages import REPOSITORY

PROGRAMS = {"deepfake-service": service, "deepfake-models": models}

_ASSIGNMENT = re.compile(r"[A-Z_0-9]+=")
_ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "<", ")"}


def words_of(shell: str) -> Iterator[list[str]]:
    """The words of each simple command, assignments and redirections left out."""
    for line in shell.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        words: list[str] = []
        try:
            found = list(lexer)
        except ValueError:
            # A word that goes on in the next line.
            continue
        for word in [*found, ";"]:
            if word not in _ENDS:
                words.append(word)
                continue
            while words and _ASSIGNMENT.match(words[0]):
                del words[0]
            if words:
                yield words
            words = []


def check(words: list[str]) -> None:
    """Raise ``AssertionError`` where a command of this project does not exist or its options do
    not; of other programs nothing is known."""
    program = re.sub(r"^\.venv[\w-]*/bin/", "", words[0])
    if program in PROGRAMS:
        _parse(program, words[1:])
    elif program.startswith("scripts/"):
        assert (REPOSITORY / program).is_file(), f"there is no {program}"
    elif program in ("python", "python3") and words[1:2] == ["-m"]:
        module = words[2].replace(".", "/")
        own = module.startswith(("benchmarks", "deploy", "tests", "service", "model_export"))
        files = (REPOSITORY / f"{module}.py", REPOSITORY / module / "__main__.py")
        assert not own or any(file.is_file() for file in files), f"there is no {words[2]}"
    elif program == "pip":
        for word in words:
            if word.startswith("requirements/"):
                assert (REPOSITORY / word).is_file(), f"there is no {word}"


def _parse(program: str, rest: list[str]) -> None:
    command: Any = typer.main.get_command(PROGRAMS[program])
    try:
        context = command.make_context(program, list(rest))
        while hasattr(command, "commands"):
            rest = [*context._protected_args, *context.args]
            name, command, rest = command.resolve_command(context, rest)
            context = command.make_context(name, rest, parent=context)
    except Exception as error:
        # Typer's own errors, which have moved from one package to another.
        format_message = getattr(error, "format_message", error.__str__)
        told = format_message()
        assert "does not exist" in told, f"{program}: {told}"
