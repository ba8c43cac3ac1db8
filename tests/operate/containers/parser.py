"""Writes a Dockerfile's instructions as JSON, in the environment of ``scripts/setup deploy``."""

from __future__ import annotations

import io
import json
import sys

from dockerfile_parse import DockerfileParser

parser = DockerfileParser(fileobj=io.BytesIO())
parser.content = json.load(sys.stdin)
parts = parser.structure
json.dump([(part["instruction"], part["value"]) for part in parts], sys.stdout)
