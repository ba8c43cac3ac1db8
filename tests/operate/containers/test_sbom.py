"""Lists of what is inside: made from the pins, and from what is installed as in the image."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.operate.tools import ENVIRONMENT, REPOSITORY, needs_tools, tool

pytestmark = needs_tools

Bom = dict[str, Any]


def made(*command: str) -> Bom:
    """A bill of materials; the program holds it against CycloneDX's schema unless told not to."""
    answer = tool("cyclonedx-py", *command, "--output-reproducible", "--spec-version", "1.6")
    assert answer.returncode == 0, answer.stderr
    found: Bom = json.loads(answer.stdout)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    return found


def pins(file: str) -> dict[str, str]:
    """Names and versions."""
    text = (REPOSITORY / "requirements" / file).read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", text, re.M))


@pytest.mark.parametrize("hardware", ["cpu", "gpu"])
def test_pins_are_listed_with_their_hashes(hardware: str) -> None:
    # The schema takes seconds to load: once is enough.
    unseen = ["--no-validate"] if hardware == "gpu" else []
    bom = made("requirements", *unseen, f"requirements/{hardware}.txt")
    listed = {each["name"]: each for each in bom["components"]}
    assert {name: each["version"] for name, each in listed.items()} == pins(f"{hardware}.txt")
    for name, each in listed.items():
        assert each["purl"] == f"pkg:pypi/{name}@{each['version']}"
        hashes = [
            found for where in each["externalReferences"] for found in where.get("hashes", [])
        ]
        assert {found["alg"] for found in hashes} == {"SHA-256"}


def test_what_is_installed_is_listed_with_its_licences() -> None:
    # The schema takes seconds to load, and is the other's.
    bom = made("environment", "--no-validate", str(ENVIRONMENT / "bin" / "python"))
    listed = {each["name"].lower().replace("_", "-"): each for each in bom["components"]}
    assert listed["helm-python-sdk"]["version"] == pins("deploy.txt")["helm-python-sdk"]
    licensed = [name for name, each in listed.items() if each.get("licenses")]
    assert len(licensed) > 0.8 * len(listed)


def test_the_image_is_listed_by_the_same_program() -> None:
    assert pins("sbom.txt").items() <= pins("deploy.txt").items()
