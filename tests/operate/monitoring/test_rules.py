"""The rules by promtool: that they can be read, and that each alert fires and clears."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.operate.monitoring.prometheus import FOLDER, promtool, rules
from tests.security.server_process import REPOSITORY

TESTS = sorted((Path(__file__).parent / "rules").glob("*.yml"))
ALERTS = [rule for rule in rules("alerts.yml") if "alert" in rule]


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", FOLDER / "prometheus.yml"),
        ("check", "rules", FOLDER / "recording.yml", FOLDER / "alerts.yml"),
    ],
    ids=["config", "rules"],
)
def test_promtool_finds_no_fault(command: tuple[str | Path, ...]) -> None:
    done = promtool(*command)
    assert done.returncode == 0, done.stdout
    assert "SUCCESS" in done.stdout


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_fire_and_clear(file: Path) -> None:
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout


def fires_and_clears(alert: str) -> bool:
    """Whether, in one course of things, an alert is expected to fire and later not to."""
    groups = [group for file in TESTS for group in yaml.safe_load(file.read_text())["tests"]]
    return any(
        _minutes(first["eval_time"]) < _minutes(later["eval_time"])
        for group in groups
        for first in group["alert_rule_test"]
        for later in group["alert_rule_test"]
        if first["alertname"] == later["alertname"] == alert
        and first["exp_alerts"]
        and not later["exp_alerts"]
    )


def _minutes(time: str) -> int:
    return int(time[:-1]) * {"m": 1, "h": 60}[time[-1]]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_no_alert_is_left_out(alert: dict[str, dict[str, str]]) -> None:
    """Each has a test in which it fires and clears, and an entry in the runbook."""
    name = str(alert["alert"])
    assert fires_and_clears(name)
    assert alert["labels"]["severity"] in ("page", "ticket")
    file, _, anchor = alert["annotations"]["runbook"].partition("#")
    page = (REPOSITORY / file).read_text()
    assert anchor == name.lower()
    entry = re.search(rf"^### {name}\n\n(.+?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert entry is not None, f"{file} has no entry for {name}"
    assert "**Do:**" in entry[1]


def test_the_runbook_names_no_alert_that_is_gone() -> None:
    page = (REPOSITORY / "docs" / "monitoring.md").read_text()
    assert set(re.findall(r"\bDeepfake[A-Z]\w+", page)) == {rule["alert"] for rule in ALERTS}


def test_the_page_names_what_is_recorded() -> None:
    page = (REPOSITORY / "docs" / "monitoring.md").read_text()
    recorded = {
        re.sub(r"(?<=rate)\d+[mhd]$", "5m", each["record"]) for each in rules("recording.yml")
    }
    assert set(re.findall(r"`((?:job|instance|model):\w+:\w+)`", page)) == recorded


def test_what_ray_calls_them_is_put_right(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "monitoring.md").read_text()
    example = re.search(
        r"^```yaml\n(metric_relabel_configs:.+?)^```", page, re.MULTILINE | re.DOTALL
    )
    assert example is not None
    job = {"job_name": "deepfake", **yaml.safe_load(example[1])}
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    done = promtool("check", "config", config)
    assert done.returncode == 0, done.stdout
    (rule,) = job["metric_relabel_configs"]
    for name, right in (
        ("ray_deepfake_ready", "deepfake_ready"),
        ("ray_http_requests_total", "http_requests_total"),
        ("ray_tasks", None),
    ):
        match = re.fullmatch(rule["regex"], name)
        assert (match.expand(rule["replacement"].replace("$", "\\")) if match else None) == right
