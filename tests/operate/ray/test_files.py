"""Arguments of the builder, and the files that give them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from deploy.ray import cluster
from deploy.ray.arguments import Arguments
from tests.security.server_process import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "ray"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "serve.yaml").read_text())
    return found


def test_arguments_come_as_words_and_as_structures() -> None:
    words = Arguments.model_validate(
        {
            "model": "/models/a.onnx",
            "decoders": "3",
            "sampling": '{"full_seconds": 20}',
            "limits": '{"concurrency": 4}',
        }
    )
    structures = Arguments.model_validate(
        {
            "model": {"path": "/models/a.onnx"},
            "decoders": 3,
            "sampling": {"full_seconds": 20},
            "limits": {"concurrency": 4},
        }
    )
    assert words == structures
    settings = words.settings("abcd1234")
    assert settings.model.path == Path("/models/a.onnx")
    assert (settings.sampling.full_seconds, settings.sampling.auto_clips) == (20, 400)
    assert (settings.limits.concurrency, settings.limits.waiting) == (4, 16)
    assert settings.jobs.replica == "abcd1234"
    assert not settings.metrics


@pytest.mark.parametrize(
    "wrong",
    [
        {"decodres": "2"},
        {"queued_batches": "32"},
        {"decoders": "none"},
        {"decoders": "4", "most_decoders": "2"},
        {"sampling": "full"},
        {"limits": '{"concurency": "four"'},
        {"gpus": "1", "model": '{"device": "cpu"}'},
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Arguments.model_validate(wrong)


def test_arguments_go_before_the_environment_and_leave_the_rest_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEEPFAKE_MODEL__THREADS", "3")
    monkeypatch.setenv("DEEPFAKE_MODEL__PATH", "/other.onnx")
    monkeypatch.setenv("DEEPFAKE_WEBHOOK__SECRET", "s" * 32)
    given = Arguments.model_validate({"model": "/models/a.onnx"})
    settings = given.settings()
    assert (settings.model.path, settings.model.threads) == (Path("/models/a.onnx"), 3)
    assert settings.webhook.secret == "s" * 32
    assert "s" * 32 not in given.model_dump_json()


def test_origins_of_this_machine_are_never_fetched_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFAKE_FETCH__LOOPBACK", "true")
    with pytest.raises(ValueError, match="LOOPBACK"):
        Arguments().settings()


def test_a_gpu_that_is_asked_for_is_demanded() -> None:
    assert Arguments(gpus=1).settings().model.device == "cuda"
    assert Arguments().settings().model.device == "auto"


def test_the_serve_config_builds_the_application(config: dict[str, Any]) -> None:
    (application,) = config["applications"]
    module, name = application["import_path"].split(":")
    source = (REPOSITORY / f"{module.replace('.', '/')}.py").read_text()
    assert f"def {name}(" in source
    assert Arguments.model_validate(application["args"]).decoders >= 1
    assert config["logging_config"]["enable_access_log"] is False


def test_the_settings_of_a_cluster_are_printed() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "deploy.ray.cluster"],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    assert json.loads(printed) == dict(cluster.SYSTEM_CONFIG)
