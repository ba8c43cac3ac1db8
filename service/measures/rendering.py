"""Tables of text as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType

from service.measures.metrics import Estimate, spread

MISSING = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` are as long as ``columns``; ``notes`` stand under it and belong to it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def with_interval(estimate: Estimate, *, signed: bool = False) -> str:
    """``0.912 (0.850 to 0.960)``, or the reason why there is no figure."""
    sign = "+" if signed else ""
    if estimate.value is None:
        return estimate.reason or MISSING
    text = f"{estimate.value:{sign}.3f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({estimate.low:{sign}.3f} to {estimate.high:{sign}.3f})"


def mean_and_spread(values: Sequence[float], digits: int) -> str:
    """``93.86±0.20`` over seeds, a single value as it is, ``MISSING`` for none."""
    if not values:
        return MISSING
    found = spread(values)
    text = f"{found.mean:.{digits}f}"
    return text if found.deviation is None else f"{text}±{found.deviation:.{digits}f}"


def markdown(table: Table) -> str:
    """GitHub-flavoured, with title and notes."""

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = line(tuple("---" for _ in table.columns))
    body = [line(table.columns), rule, *map(line, table.rows)]
    return "\n".join([f"**{table.title}**", "", *body, "", *(f"{n}\n" for n in table.notes)])


def hypertext(table: Table) -> str:
    """A ``table`` element and its notes; whatever stands in it is text, never markup."""

    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in table.rows)
    notes = "".join(f"<small>{escape(note)}</small>" for note in table.notes)
    return (
        f"<table><caption>{escape(table.title)}</caption>"
        f"<thead>{line(table.columns, 'th')}</thead><tbody>{body}</tbody></table>{notes}"
    )


def comma_separated(table: Table) -> str:
    """CSV: a header and the rows; the title is the first column's name, so that it stays with
    them, and the notes follow as rows of their own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{table.title}: {table.columns[0]}", *table.columns[1:]])
    writer.writerows(table.rows)
    writer.writerows([note] for note in table.notes)
    return text.getvalue()


def latex(table: Table) -> str:
    """A ``table`` environment for booktabs."""

    def line(cells: tuple[str, ...]) -> str:
        return " & ".join(map(_escaped, cells)) + r" \\"

    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(' '.join([table.title + '.', *table.notes]))}}}",
            rf"\begin{{tabular}}{{{'l' + 'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            line(table.columns),
            r"\midrule",
            *map(line, table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


FORMATS: Mapping[str, Callable[[Table], str]] = MappingProxyType(
    {"md": markdown, "csv": comma_separated, "tex": latex}
)


_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "→": r"$\rightarrow$",
        "–": "--",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
