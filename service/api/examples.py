"""A report as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any

_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

REPORT: dict[str, Any] = {
    "schema_version": "1.0",
    "verdict": "fake",
    "score": 0.93,
    "raw_score": 0.93,
    "reasons": ["The model is uncalibrated: its threshold is a convention."],
    "operating_point": {
        "threshold": 0.5,
        "uncertain_low": 0.4,
        "uncertain_high": 0.6,
        "scale": 1.0,
        "offset": 0.0,
        "calibration": "uncalibrated",
    },
    "model": {
        "name": "clrnet",
        "version": "1",
        "architecture": "clrnet",
        "sha256": _SHA256,
        "weights_sha256": _SHA256,
        "clip_length": 5,
        "input_height": 240,
        "input_width": 240,
        "crop_margin": 1.3,
        "alignment": "per_frame",
        "precision": "float32",
        "trained_on": "unknown",
        "strategy": "unknown",
        "licence": "unknown",
        "metrics": [],
        "notice": "unknown",
        "provider": "CPUExecutionProvider",
        "detector": "mtcnn",
        "fallback": False,
    },
    "media": {
        "sha256": _SHA256,
        "bytes": 1048576,
        "container": "mov",
        "codec": "h264",
        "width": 1280,
        "height": 720,
        "fps": 25.0,
        "duration": 10.0,
        "frames": 250,
    },
    "coverage": {
        "sampling": "full",
        "start": 0.0,
        "end": 10.0,
        "frames_in_video": 250,
        "frames_decoded": 250,
        "frames_damaged": 0,
        "frames_with_face": 246,
        "faces_kept": 1,
        "faces_dropped": {"too_small": 3},
        "clips_scored": 49,
        "clips_dropped": {},
        "longest_unscored": 0.16,
        "seconds_missing": 0.0,
        "bytes_fetched": 1048576,
    },
    "faces": [
        {
            "id": 1,
            "score": 0.93,
            "raw_score": 0.93,
            "verdict": "fake",
            "start": 0.0,
            "end": 9.8,
            "segments": [
                {
                    "start": 8.0,
                    "end": 9.0,
                    "start_frame": 200,
                    "end_frame": 224,
                    "score": 0.95,
                    "raw_score": 0.95,
                    "verdict": "fake",
                    "box": [512.0, 180.5, 640.0, 340.5],
                }
            ],
        }
    ],
    "timing": {
        "fetch": 0.0,
        "queued": 0.0,
        "extract": 1.9,
        "classify": 3.2,
        "halted": 0.0,
        "held_back": 0.0,
        "total": 5.2,
    },
}
