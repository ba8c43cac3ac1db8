"""What a Prometheus remembers of the week before, and nobody has to wait for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.operate.monitoring.prometheus import promtool

_HOUR = 3600
_STEP = 300

_EACH_STEP = {
    'deepfake_verdicts_total{%s,verdict="fake"}': 10,
    'deepfake_verdicts_total{%s,verdict="real"}': 30,
    'deepfake_verdicts_total{%s,verdict="no_face"}': 8,
    'deepfake_abstain_total{%s,reason="no_face"}': 8,
    'deepfake_score_bucket{%s,le="0.2"}': 30,
    'deepfake_score_bucket{%s,le="0.9"}': 40,
    'deepfake_score_bucket{%s,le="+Inf"}': 40,
}


def remember(folder: Path, server: str) -> None:
    """Put what a service at this URL would have counted from eight to seven hours ago among the
    data of a Prometheus that keeps them below ``folder``."""
    exposed = httpx.get(f"{server}/metrics").text
    found = re.search(r"^deepfake_model_info\{(.+)\}", exposed, re.MULTILINE)
    assert found is not None
    served = ",".join(re.findall(r'(?:model|version)="[^"]*"', found[1]))
    labels = f'job="deepfake",instance="{server.removeprefix("http://")}",{served}'
    text = folder / "history"
    text.write_text("\n".join([*_samples(labels), "# EOF", ""]))
    done = promtool("tsdb", "create-blocks-from", "openmetrics", text, folder / "data")
    assert done.returncode == 0, done.stdout


def _samples(labels: str) -> Iterator[str]:
    now = round(time.time())
    for count, at in enumerate(range(now - 8 * _HOUR, now - 7 * _HOUR, _STEP)):
        for series, much in _EACH_STEP.items():
            yield f"{series % labels} {count * much} {at}"
