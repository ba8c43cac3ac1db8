"""What training cost, stage by stage and from random weights on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from model_export.evaluation.methods import in_words
from model_export.evaluation.origin import stand_ins
from model_export.evaluation.papers import published_minutes
from model_export.evaluation.results import Cost
from service.measures.rendering import MISSING, Table, mean_and_spread

Training = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Network, methods trained on, methods transferred to."""

Minutes = Mapping[Training, Mapping[int, float]]
"""Of all stages of a training, by seed."""


def cost_table(costs: Iterable[Cost], origin: str) -> Table:
    """What was printed (WWW '21, section 6.2.3), then a row for each stage of each training.

    The last stage says what the model took from random weights on: all its stages and, of a
    transfer, those of the model it started from. Under each network's trainings is their sum over
    all seeds, with every training in it once.
    """
    stages: dict[Training, dict[str, list[Cost]]] = {}
    minutes: dict[Training, dict[int, float]] = {}
    for cost in dict.fromkeys(costs):
        training = (cost.architecture, cost.trained_on, cost.transferred_to)
        stages.setdefault(training, {}).setdefault(cost.stage, []).append(cost)
        by_seed = minutes.setdefault(training, {})
        by_seed[cost.seed] = by_seed.get(cost.seed, 0.0) + cost.minutes
    rows: list[tuple[str, ...]] = [
        (f"{network}, published", strategy, "", "", "", f"{printed * 60:g}", "", "", "")
        for (network, strategy), printed in published_minutes().items()
    ]
    for network in dict.fromkeys(architecture for architecture, _, _ in stages):
        own = [training for training in stages if training[0] == network]
        for training in own:
            rows += _rows(training, stages[training], _from_random_weights(training, minutes))
        total = sum(sum(minutes[training].values()) for training in own)
        rows.append((network, "all", f"{len(own)} trainings", "", "", "", "", f"{total:.1f}", ""))
    return Table(
        title=f"Cost of training (section 6.2.3, WWW '21){stand_ins(origin, ': ours on ')}",
        columns=(
            *("network", "strategy", "methods", "stage", "samples an epoch", "seconds an epoch"),
            *("epochs", "minutes", "minutes from random weights on"),
        ),
        rows=tuple(rows),
        notes=(
            f"Ours: {origin}; mean ± standard deviation over seeds, of training alone, without "
            "validation.",
            "Minutes from random weights on: of all stages and, of a transfer, of its source's "
            f"training as well; {MISSING}: that is not known.",
        ),
    )


def _rows(
    training: Training, by_stage: Mapping[str, list[Cost]], whole: list[float]
) -> list[tuple[str, ...]]:
    network, *methods = training
    last = list(by_stage)[-1]
    return [
        (
            *(network, group[0].strategy, in_words(*methods), stage),
            mean_and_spread([cost.samples_per_epoch for cost in group], 0),
            mean_and_spread([cost.seconds_per_epoch for cost in group], 1),
            mean_and_spread([cost.epochs for cost in group], 0),
            mean_and_spread([cost.minutes for cost in group], 1),
            mean_and_spread(whole, 1) if stage == last else "",
        )
        for stage, group in by_stage.items()
    ]


def _from_random_weights(training: Training, minutes: Minutes) -> list[float]:
    """Minutes of each seed, those of a transfer's source included; none where they are missing."""
    network, trained_on, transferred_to = training
    own = minutes[training]
    if not transferred_to:
        return list(own.values())
    source = minutes.get((network, trained_on, ()), {})
    return [own[seed] + source[seed] for seed in own] if own.keys() <= source.keys() else []
