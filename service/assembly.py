"""Builds the report from what extraction saw and the classifier scored."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from service import scoring
from service.classifier.cam import normalise
from service.classifier.contract import UNCALIBRATED, UNKNOWN, OperatingPoint
from service.engine import DetectionOptions, ServedModel
from service.extraction import Extracted
from service.faces.detector import Box
from service.findings import Findings
from service.registry import Panel
from service.report import (
    BoxOut,
    ClipScore,
    Coverage,
    EnsembleInfo,
    FaceReport,
    MediaInfo,
    ModelInfo,
    PartScore,
    Report,
    Segment,
    TimedBox,
    Timing,
)
from service.scoring import ScoredClip
from service.sources.source import Source


class Assembler:
    """Turns findings into report parts for one panel and set of options."""

    def __init__(self, panel: Panel, detector: str, options: DetectionOptions) -> None:
        self._panel, self._detector, self._options = panel, detector, options
        self._point = panel.point

    def report(
        self, media: Source, extracted: Extracted, findings: Findings, timing: Timing
    ) -> Report:
        """The whole report."""
        faces = tuple(
            self._face(track, findings, extracted)
            for track in sorted(findings.clips, key=lambda each: findings.clips[each][0].start)
        )
        worst = max(faces, key=lambda face: face.raw_score, default=None)
        verdict = scoring.video_verdict(
            [face.verdict for face in faces], any_face_seen=extracted.tracks_seen > 0
        )
        coverage = self._coverage(media, extracted, findings)
        return Report(
            verdict=verdict,
            score=worst.score if worst else None,
            raw_score=worst.raw_score if worst else None,
            reasons=(*self._reasons(verdict, self._point, coverage, findings), *media.notes),
            operating_point=self._point,
            model=self._model(),
            media=MediaInfo(
                sha256=media.sha256,
                bytes=media.size,
                container=extracted.container,
                codec=extracted.codec,
                width=extracted.width,
                height=extracted.height,
                fps=extracted.fps,
                duration=extracted.duration,
                frames=extracted.frames_in_video,
            ),
            coverage=coverage,
            faces=faces,
            timing=timing,
        )

    def _face(self, track: int, findings: Findings, extracted: Extracted) -> FaceReport:
        clips = findings.clips[track]
        raw = scoring.sustained(clips)
        score = scoring.calibrate(raw, self._point)
        seen = extracted.tracks[track]
        return FaceReport(
            id=track,
            score=score,
            raw_score=raw,
            verdict=scoring.verdict(score, self._point),
            start=clips[0].start,
            end=clips[-1].end,
            segments=tuple(
                self.segment(track, group, findings) for group in scoring.segments(clips)
            ),
            parts=self._parts(findings, track, clips, scoring.sustained),
            boxes=tuple(
                TimedBox(frame=frame, time=time, box=_box(box))
                for frame, time, box in zip(
                    seen.frames.tolist(), seen.times.tolist(), seen.boxes.tolist(), strict=True
                )
            )
            if self._options.detail == "full"
            else None,
        )

    def segment(self, track: int, clips: Sequence[ScoredClip], findings: Findings) -> Segment:
        raw = scoring.mean(clips)
        score = scoring.calibrate(raw, self._point)
        maps = [
            findings.cams[track, clip.first_frame]
            for clip in clips
            if (track, clip.first_frame) in findings.cams
        ]
        return Segment(
            start=clips[0].start,
            end=clips[-1].end,
            start_frame=clips[0].first_frame,
            end_frame=clips[-1].last_frame,
            score=score,
            raw_score=raw,
            verdict=scoring.verdict(score, self._point),
            box=_box(scoring.middle_box(clips)),
            parts=self._parts(findings, track, clips, scoring.mean),
            clips=tuple(self._clip(clip) for clip in clips)
            if self._options.detail != "summary"
            else None,
            cam_png=_png(np.mean(maps, axis=0)) if maps else None,
        )

    def _clip(self, clip: ScoredClip) -> ClipScore:
        return ClipScore(
            start=clip.start,
            end=clip.end,
            start_frame=clip.first_frame,
            end_frame=clip.last_frame,
            score=scoring.calibrate(clip.raw, self._point),
            raw_score=clip.raw,
        )

    def _coverage(self, media: Source, extracted: Extracted, findings: Findings) -> Coverage:
        since, until = extracted.range
        scored = [
            (clip.start - since, clip.end - since)
            for clips in findings.clips.values()
            for clip in clips
        ]
        dropped = Counter(extracted.faces_dropped)
        if unscored := extracted.tracks_seen - len(findings.clips):
            dropped["no_whole_clip"] += unscored
        return Coverage(
            sampling=extracted.sampling,
            start=since,
            end=until,
            frames_in_video=extracted.frames_in_video,
            frames_decoded=extracted.frames_decoded,
            frames_damaged=extracted.frames_damaged,
            frames_with_face=extracted.frames_with_face,
            faces_kept=len(findings.clips),
            faces_dropped=dict(dropped),
            clips_scored=findings.count,
            clips_dropped=extracted.clips_dropped,
            longest_unscored=scoring.longest_gap(scored, until - since + extracted.seconds_missing),
            seconds_missing=extracted.seconds_missing,
            bytes_fetched=media.fetched,
        )

    def _parts(
        self,
        findings: Findings,
        track: int,
        clips: Sequence[ScoredClip],
        rule: Callable[[Sequence[ScoredClip]], float],
    ) -> tuple[PartScore, ...] | None:
        """What each member of an ensemble makes of these windows of a track."""
        if self._panel.rule is None:
            return None
        parts = []
        for member, windows in zip(self._panel.members, findings.parts, strict=True):
            own = _within(windows[track], clips[0].first_frame, clips[-1].last_frame)
            contract, raw = member.served.contract, rule(own)
            score = scoring.calibrate(raw, contract.operating_point)
            parts.append(PartScore(model=contract.name, score=score, raw_score=raw))
        return tuple(parts)

    def _model(self) -> ModelInfo | EnsembleInfo:
        models = tuple(self._member(each.served) for each in self._panel.members)
        if self._panel.rule is None:
            return models[0]
        return EnsembleInfo(name=self._panel.name, rule=self._panel.rule, members=models)

    def _member(self, served: ServedModel) -> ModelInfo:
        shared = served.contract.model_dump(include=set(ModelInfo.model_fields))
        return ModelInfo(
            **shared,
            sha256=served.sha256,
            provider=served.provider,
            detector=self._detector,
            fallback=served.fallback,
        )

    def _reasons(
        self, verdict: str, point: OperatingPoint, coverage: Coverage, findings: Findings
    ) -> tuple[str, ...]:
        reasons: list[str] = []
        if verdict == "no_face":
            reasons.append("No face large and clear enough was found.")
        if verdict == "unable":
            reasons.append("Faces were seen, but none in enough frames in a row to be scored.")
        if point.abstain is not None:
            reasons.append(point.abstain)
        for member in self._panel.members:
            name = f"The model {member.served.contract.name}" if self._panel.rule else "The model"
            if member.served.contract.operating_point.calibration == UNCALIBRATED:
                reasons.append(f"{name} is uncalibrated: its threshold is a convention.")
            if member.served.contract.notice != UNKNOWN:
                reasons.append(member.served.contract.notice)
            if member.served.fallback:
                reasons.append("A GPU was asked for and could not be used: the CPU scored.")
        if self._options.explain and findings.mapper is None:
            reasons.append("The model has no class activation map, so none is given.")
        if coverage.frames_damaged:
            reasons.append(f"{coverage.frames_damaged} frames are damaged and were not scored.")
        if coverage.seconds_missing:
            reasons.append(
                f"The file breaks off: the last {coverage.seconds_missing:.1f} seconds that it "
                "announces hold no pictures."
            )
        if over := coverage.clips_dropped.get("over_clip_limit"):
            reasons.append(f"{over} clips were over the limit and were not scored.")
        return tuple(reasons)


def _within(
    windows: Sequence[ScoredClip], first_frame: int, last_frame: int
) -> Sequence[ScoredClip]:
    """Those that begin in this stretch."""
    start = bisect_left(windows, first_frame, key=lambda each: each.first_frame)
    return windows[start : bisect_right(windows, last_frame, key=lambda each: each.first_frame)]


def _box(box: Box) -> BoxOut:
    x0, y0, x1, y1 = (round(float(side), 1) for side in box)
    return x0, y0, x1, y1


def _png(cam: NDArray[np.float32]) -> str:
    """A map as base64 PNG, grey: black where the authors draw nothing, white at its peak."""
    grey = np.round(np.clip(normalise(cam), 0, 1) * 255).astype(np.uint8)
    return base64.b64encode(cv2.imencode(".png", grey)[1].tobytes()).decode("ascii")
