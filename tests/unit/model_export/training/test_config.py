"""A run's file: read, changed from the command line, and refused where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_export.errors import TrainingError
from model_export.training.config import RunConfig, load_config

MINIMAL = """
name = "first"
augmentation = "mild"

[model]
architecture = "clrnet"
size = 128
options = { initial_filters = 16, repetitions = [1, 1, 1, 1], dropout = 0.0 }

[data]
folder = "prepared"
videos = { DF = 10, FS = "all" }

[schedule]
epochs = 3
batch = 8
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL)
    return path


def test_a_run_is_read_and_survives_its_own_json(run: Path) -> None:
    config = load_config(run)
    assert config.data.videos == {"DF": 10, "FS": None}
    assert config.model.options["repetitions"] == [1, 1, 1, 1]
    assert config.augmentation.rotation == 8
    assert (config.optimiser.rate, config.optimiser.l2) == (5e-5, 1e-4)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_settings_are_changed_from_the_command_line(run: Path) -> None:
    changes = ["optimiser.rate=1e-3", "freeze=first:120", "data.videos={DF=2}", "data.twins=true"]
    config = load_config(run, [*changes, "init.weights=runs/other", "augmentation=none"])
    assert config.optimiser.rate == 1e-3
    assert config.freeze == "first:120"
    assert config.data.videos == {"DF": 2}
    assert config.data.twins
    assert config.init.weights == Path("runs/other")
    assert config.augmentation.rotation == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("optimiser.rates=1", "optimiser.rates"),
        ("optimiser.rate=0", "optimiser.rate"),
        ("schedule.batch=eight", "schedule.batch"),
        ("data.videos={DF=0}", "data.videos.DF"),
        ("freeze=first:0", "freeze"),
        ("freeze=last:3", "freeze"),
        ("mask_weight=1.0", "data.twins"),
        ("init.inflate=true", "init"),
        ("name.first=1", "name is a value"),
        ("augmentation={jpeg={probability=1,low=0,high=90}}", "augmentation.jpeg: .* 1 and 100"),
        ("augmentation={h264={probability=1,low=20,high=52}}", "augmentation.h264: .* 0 and 51"),
        ("augmentation={downscale={probability=1,low=0.5,high=2}}", "augmentation.downscale: "),
        ("augmentation={blur={probability=0.1,low=0,high=1}}", "augmentation.blur: .*not 0"),
        ("augmentation={noise={probability=1,low=-1,high=1}}", "augmentation.noise: "),
        ("optimiser", "KEY=VALUE"),
    ],
)
def test_what_is_wrong_is_named(run: Path, change: str, named: str) -> None:
    with pytest.raises(TrainingError, match=named):
        load_config(run, [change])


def test_a_file_that_is_not_there_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.toml cannot be read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(TrainingError, match=r"bad\.toml is not TOML"):
        load_config(tmp_path / "bad.toml")
