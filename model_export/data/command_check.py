"""``deepfake-models data check``: what a dataset has and lacks, before anything is decoded."""

from __future__ import annotations

import typer
from rich.console import Console

from model_export.data.arguments import (
    CompressionOption,
    DatasetArgument,
    LayoutOption,
    MethodOption,
    OverlapOption,
    RatiosOption,
    SeedOption,
    SeparatorOption,
    SplitOption,
    SplitsOption,
)
from model_export.refusals import refusals


def check(
    dataset: DatasetArgument,
    layout: LayoutOption = None,
    method: MethodOption = None,
    compression: CompressionOption = "c23",
    split: SplitOption = None,
    splits: SplitsOption = None,
    ratios: RatiosOption = (0.75, 0.125, 0.125),
    seed: SeedOption = 0,
    overlap: OverlapOption = "drop",
    separator: SeparatorOption = None,
) -> None:
    """Count the videos of a dataset by part and method, name what is missing, and prove that no
    two parts share a person or a source video.

    Only names, lists and sizes are read. Ends with status 1 if it cannot be trained on.

    Example: **deepfake-models data check FaceForensics++ --compression c23 --split papers**
    """
    from model_export.data.check import check as check_reading
    from model_export.data.check import show
    from model_export.data.readers import ReaderOptions, read

    with refusals():
        options = ReaderOptions(
            layout=layout,
            compression=compression,
            split=split,
            splits=splits,
            methods=tuple(method) if method else None,
            ratios=ratios,
            seed=seed,
            overlap=overlap,
            separator=separator,
        )
        report = check_reading(read(dataset, options))
    show(report, Console(highlight=False))
    if report.errors:
        raise typer.Exit(1)
