"""Marks of blocks that bear none on their page: of the README, which people also read as text, and
of pages that programs write. By page and how the block begins.
"""

from __future__ import annotations

_DEMO = "tests/docs/test_examples.py::test_the_demo_tells_which_face_was_forged"
_SCORED = ", ".join(
    (
        "tests/e2e/test_cli.py::test_without_json_a_person_gets_a_table",
        "tests/e2e/test_cli.py::test_json_is_the_report_and_nothing_else",
        "tests/docs/test_examples.py::test_all_there_is_about_a_video",
    )
)
_EVALUATE = "tests/e2e/test_evaluate.py::test_files_are_uploaded_and_relative_to_the_list"
_SERVE = "tests/security/test_no_persistence.py::test_a_scored_upload_leaves_nothing"
_LAB = "tests/unit/model_export"
_TRAINED = ", ".join(
    (
        f"{_LAB}/data/test_check.py::test_everything_is_printed",
        f"{_LAB}/data/test_prepare.py"
        "::test_the_command_prepares_a_dataset_and_says_what_became_of_it",
        f"{_LAB}/training/test_export.py::test_from_a_file_to_a_model_that_the_service_takes",
        f"{_LAB}/evaluation/test_report.py::test_runs_are_compared_and_attacked",
        f"{_LAB}/explain/test_command.py::test_cams",
    )
)

MARKS = {
    ("README.md", "scripts/demo"): f"tested by: {_DEMO}",
    ("README.md", "scripts/test"): "not run: is what runs this",
    ("README.md", ".venv/bin/deepfake-service score"): f"tested by: {_SCORED}",
    ("README.md", ".venv/bin/deepfake-service evaluate"): f"tested by: {_EVALUATE}",
    ("README.md", ".venv/bin/deepfake-service serve"): f"tested by: {_SERVE}",
    ("README.md", "curl -F file=@video.mp4"): r'prints: ("verdict"[\s\S]*){3}',
    ("README.md", "import httpx"): r"prints: ^0 0\.0 0\.\d+ 0\.\d+$",
    ("README.md", "scripts/setup train"): (
        f"tested by: {_LAB}/test_cli.py::test_import_and_inspect, "
        "tests/e2e/test_cli.py::test_without_json_a_person_gets_a_table"
    ),
    ("README.md", ".venv/bin/deepfake-models data check"): f"tested by: {_TRAINED}",
    ("README.md", "docker compose up"): "not run: needs Docker",
    ("README.md", "pip install"): "not run: needs a package index and a GPU",
    ("README.md", "scripts/setup dev"): (
        "not run: takes twenty minutes; tests/unit/benchmarks/test_all.py calls each benchmark"
    ),
    ("docs/results/ordering/README.md", "deepfake-models reproduce"): "not run: takes hours",
    ("docs/results/small/README.md", "deepfake-models reproduce"): "not run: takes hours",
}


def mark(page: str, text: str) -> str:
    """That of the block that begins like this; empty where there is none."""
    found = (
        each
        for (place, start), each in MARKS.items()
        if (place, text[: len(start)]) == (page, start)
    )
    return next(found, "")
