"""Where the time of a model goes, by ONNX Runtime's own profiler.

    python -m benchmarks.profiled MODEL.onnx FRAMES SIDE BATCH DEVICE

prints JSON: microseconds of the nodes by operator and, on a GPU, of the kernels by name, in one
run. Profiling slows small nodes down, and on a GPU a node's own time is that of its launch: there
the kernels tell.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnxruntime

from benchmarks.report import Section
from benchmarks.worker import ROOT, NotRun, clips

CATEGORIES = {"Node": "operator", "Kernel": "kernel on the GPU"}


def spent(events: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[str, int, int]]]:
    """Of a profile's events, after the last run began: name, times and microseconds, by category of
    ``CATEGORIES``, what took longest first."""
    events = list(events)
    runs = [each for each in events if each["name"] == "model_run"]
    began = runs[-1]["ts"] if runs else 0
    totals: dict[str, Counter[str]] = {each: Counter() for each in CATEGORIES}
    times: dict[str, Counter[str]] = {each: Counter() for each in CATEGORIES}
    for event in events:
        kind = event.get("cat")
        if kind not in CATEGORIES or event["ts"] < began:
            continue
        if kind == "Node" and not event["name"].endswith("_kernel_time"):
            continue
        name = event["args"].get("op_name", event["name"]) if kind == "Node" else event["name"]
        totals[kind][name] += event["dur"]
        times[kind][name] += 1
    return {
        kind: [(name, times[kind][name], micros) for name, micros in found.most_common()]
        for kind, found in totals.items()
    }


def section(model: Path, frames: int, side: int, batch: int, device: str, top: int = 12) -> Section:
    """The longest of each category, profiled in a process of its own."""
    words = ["-m", "benchmarks.profiled", str(model), *map(str, (frames, side, batch)), device]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    found = Section(
        f"Where the time goes: {model.name}, batch {batch}, {device}",
        ("what", "name", "times", "ms", "share"),
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        found.remarks.append(f"Not run: {last[0]}")
        return found
    for kind, rows in json.loads(done.stdout).items():
        total = sum(micros for _, _, micros in rows)
        for name, times, micros in rows[:top]:
            share = f"{micros / total:.1%}" if total else ""
            found.rows.append(
                (CATEGORIES[kind], name[:80], str(times), f"{micros / 1000:.2f}", share)
            )
        if not rows:
            found.remarks.append(f"No time of any {CATEGORIES[kind]} was told.")
    return found


def main(model: str, frames: int, side: int, batch: int, device: str) -> None:
    """Profile the second run."""
    provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
    how = {"use_tf32": "0"} if device == "cuda" else {}
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.enable_mem_reuse = False  # As the service has it, and float32 without TF32.
    options.log_severity_level = 4
    if device == "cuda":
        onnxruntime.preload_dlls()
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = onnxruntime.InferenceSession(model, options, providers=[(provider, how)])
        if session.get_providers()[0] != provider:
            raise NotRun(f"ONNX Runtime has no {provider}")
        given = {session.get_inputs()[0].name: clips(batch, frames, side)}
        for _ in range(2):
            session.run(None, given)
        events = json.loads(Path(session.end_profiling()).read_text())
    print(json.dumps(spent(events)))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5])
