"""What a command says beside its result: on standard error, in one form."""

from __future__ import annotations

from rich.console import Console

from service.errors import ServiceError

errors = Console(stderr=True, highlight=False)


def show_problem(error: ServiceError) -> None:
    """Say why there is no report, with the code that HTTP would have answered."""
    errors.print(f"[red]{error.title}[/red] ({error.code}): {error.detail}")
