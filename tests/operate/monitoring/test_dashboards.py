"""The dashboards as files: by Grafana's schema, of metrics that exist, readable."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.app import create_app
from service.settings import Settings
from tests.api.fakes import FakeEngine
from tests.operate.monitoring import dashboards
from tests.operate.monitoring.dashboards import FILES, FOLDER
from tests.operate.monitoring.prometheus import FOLDER as RULES
from tests.operate.monitoring.prometheus import rules
from tests.operate.tools import asked, needs_tools
from tests.security.server_process import REPOSITORY

HERE = Path(__file__).parent
SCHEMA = HERE / "grafana_schema.py"
NAMES = [file.stem for file in FILES]
GRAPHS = ("timeseries", "stat", "heatmap")

Document = dict[str, Any]


def first(document: Document, kind: str) -> Document:
    return next(panel for panel in dashboards.panels(document) if panel["type"] == kind)


def misspelt(document: Document) -> None:
    target = first(document, "timeseries")["targets"][0]
    target["legend"] = target.pop("legendFormat")


def wrong_type(document: Document) -> None:
    first(document, "stat")["gridPos"]["w"] = "4"


def unknown_value(document: Document) -> None:
    first(document, "timeseries")["options"]["legend"]["placement"] = "under"


def unknown_style(document: Document) -> None:
    first(document, "timeseries")["fieldConfig"]["defaults"]["custom"]["lineWeight"] = 2


def unknown_panel(document: Document) -> None:
    first(document, "stat")["type"] = "statistic"


def unknown_refresh(document: Document) -> None:
    document["templating"]["list"][-1]["refresh"] = 9


@needs_tools
def test_grafana_knows_all_that_they_say() -> None:
    documents = [dashboards.read(name) for name in NAMES]
    assert asked(SCHEMA, documents) == [[] for _ in documents]


@needs_tools
def test_grafana_would_not_know_what_is_wrong() -> None:
    changes: list[Callable[[Document], None]] = [
        misspelt,
        wrong_type,
        unknown_value,
        unknown_style,
        unknown_panel,
        unknown_refresh,
    ]
    changed = [copy.deepcopy(dashboards.read("deepfake-service")) for _ in changes]
    for change, document in zip(changes, changed, strict=True):
        change(document)
    found = asked(SCHEMA, changed)
    assert [len(faults) for faults in found] == [1] * len(changes), found


@pytest.mark.parametrize("name", NAMES)
def test_they_can_be_read(name: str) -> None:
    document = dashboards.read(name)
    shown = dashboards.panels(document)
    assert document["uid"] == name
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    for panel in shown:
        assert 10 < len(panel["description"]) < 250, panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        if panel["type"] in GRAPHS:
            unit = panel["fieldConfig"]["defaults"].get("unit")
            assert unit or panel["options"]["yAxis"]["unit"], panel["title"]
    cells = [cell for panel in document["panels"] for cell in _cells(panel["gridPos"])]
    assert len(cells) == len(set(cells)), "panels lie on each other"
    assert max(column for column, _ in cells) < 24


def _cells(place: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    return [(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])]


def measured() -> set[str]:
    """The metrics of the service, in all forms in which they are asked for, and of its process."""
    found = {
        "http_connections",
        "up",
        "ALERTS",
        *(rule["record"] for rule in rules("recording.yml")),
    }
    for metric in create_app(Settings(), FakeEngine()).state.metrics.catalogue:
        ends = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        found |= {metric.name + end for end in ends}
    process = ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds")
    return found | {f"process_{name}" for name in (*process, "start_time_seconds")}


def gpu_fields(text: str) -> set[str]:
    return set(re.findall(r"^(DCGM_\w+)", text, re.MULTILINE))


def named(query: str) -> set[str]:
    """Metrics that a query asks for."""
    return set(re.findall(r"\b(?:deepfake|http|process|DCGM|job|instance|model)[_:][\w:]+", query))


def test_every_query_is_of_a_metric_that_exists() -> None:
    asked_for = [
        target["expr"]
        for name in NAMES
        for panel in dashboards.panels(dashboards.read(name))
        for target in panel["targets"]
    ]
    asked_for += [rule["expr"] for rule in rules("recording.yml") + rules("alerts.yml")]
    known = measured() | gpu_fields((RULES / "dcgm.csv").read_text())
    for query in asked_for:
        assert named(query) <= known, query


def test_the_exporter_is_told_of_what_is_shown_and_so_is_the_test() -> None:
    listed = (RULES / "dcgm.csv").read_text()
    fields = [line for line in listed.splitlines() if not line.startswith("#")]
    # It takes lines of three parts alone.
    assert {line.count(",") for line in fields} == {2}
    counted = gpu_fields(listed)
    assert gpu_fields((HERE / "dcgm.prom").read_text()) == counted


def test_what_is_provisioned_lies_where_it_is_looked_for() -> None:
    provisioning = FOLDER / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "deepfake.yml").read_text())[
        "providers"
    ]
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    mounted = dict(each.split(":")[:2] for each in services["grafana"]["volumes"])
    assert mounted["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    scraped = yaml.safe_load((RULES / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped
