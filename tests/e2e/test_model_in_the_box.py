"""The model in the box, served: the same scores alone and in company, and its label on reports."""

from __future__ import annotations

import numpy as np
import pytest

from service.classifier.classifier import Classifier, load_classifier
from service.clips import Clip, ClipSpec
from service.engine import DetectionOptions
from service.extraction import ExtractionLimits, extract
from service.faces.mtcnn import MTCNN
from service.faces.tracking import TrackerSettings
from service.registry import BUILT_IN_MODEL
from service.settings import ModelSettings, Settings
from service.video.deadline import Deadline
from tests import media
from tests.e2e.test_engine import detect, report_of


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier(BUILT_IN_MODEL)


@pytest.fixture(scope="module")
def clips(classifier: Classifier) -> np.ndarray:
    """Twenty-four real clips of six faces, uint8 (24, T, H, W, 3)."""
    items = extract(
        media.group_video(20),
        (ClipSpec.of(classifier.contract),),
        "full",
        detector=MTCNN(),
        tracking=TrackerSettings(),
        limits=ExtractionLimits(),
        deadline=Deadline(60),
    )
    return np.stack([item.pixels for item in items if isinstance(item, Clip)])


def test_scores_do_not_depend_on_the_batch(classifier: Classifier, clips: np.ndarray) -> None:
    assert len(clips) == 24
    together = classifier.score(clips, cam=True)
    assert together.cam is not None
    for number, clip in enumerate(clips):
        alone = classifier.score(clip[None], cam=True)
        assert abs(float(alone.fake[0] - together.fake[number])) <= 1e-6
        assert alone.cam is not None
        np.testing.assert_allclose(alone.cam[0], together.cam[number], rtol=1e-4, atol=1e-4)
    shuffled = np.random.default_rng(0).permutation(len(clips))
    np.testing.assert_allclose(
        classifier.score(clips[shuffled]).fake, together.fake[shuffled], rtol=0, atol=1e-6
    )


async def test_reports_do_not_depend_on_the_batch_and_carry_the_label(
    classifier: Classifier,
) -> None:
    video = media.group_video(20)
    reports = [
        report_of(
            await detect(
                Settings(model=ModelSettings(batch=batch)),  # type: ignore[call-arg]
                video,
                DetectionOptions(detail="full"),
            )
        )
        for batch in (1, 16)
    ]
    for one, many in zip(reports[0].faces, reports[1].faces, strict=True):
        assert one.boxes == many.boxes
        assert one.score == pytest.approx(many.score, abs=1e-6)
        for first, second in zip(one.segments, many.segments, strict=True):
            assert first.score == pytest.approx(second.score, abs=1e-6)
    assert "emonstration" in classifier.contract.notice
    assert classifier.contract.notice in reports[0].reasons
    assert reports[0].model.name == "clrnet-demo"
