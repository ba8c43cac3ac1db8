"""The dashboards, and their queries as Grafana would send them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.operate.monitoring.prometheus import Prometheus
from tests.security.server_process import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))

_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


def read(name: str) -> dict[str, Any]:
    """A dashboard by its uid."""
    found: dict[str, Any] = json.loads((FOLDER / "dashboards" / f"{name}.json").read_text())
    return found


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All but the rows that part them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class Query:
    """One of a panel's. ``text`` has its variables filled in."""

    panel: str
    legend: str
    text: str


def variables(dashboard: Mapping[str, Any], prometheus: Prometheus) -> dict[str, str]:
    """What each variable holds while all of its values are chosen, as a regular expression."""
    found: dict[str, str] = {}
    for each in dashboard["templating"]["list"]:
        if each["type"] == "query":
            match = _LABEL_VALUES.fullmatch(_filled(each["query"], found))
            assert match is not None, each["query"]
            values = prometheus.values(match[2], match[1])
            assert values, f"no values for the variable {each['name']}"
            found[each["name"]] = "(" + "|".join(map(re.escape, values)) + ")"
    return found


def queries(dashboard: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Query]:
    """Every query of every panel; ``values`` are those of the variables."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            text = _filled(target["expr"], values)
            assert "$" not in text, text
            yield Query(panel["title"], target["legendFormat"], text)


def _filled(text: str, values: Mapping[str, str]) -> str:
    # The longer names first: one may begin with another.
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(f"${name}", values[name].replace("\\", "\\\\"))
    return text
