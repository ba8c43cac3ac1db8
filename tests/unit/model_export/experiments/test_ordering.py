"""The ordering claim is answered by what was measured."""

from __future__ import annotations

import pytest

from model_export.experiments.ordering import compare, verdict


def test_the_claim_comes_out() -> None:
    found = compare(
        {
            "transfer": {0: 0.9, 1: 0.8, 2: 0.9},
            "merge": {0: 0.8, 1: 0.81, 2: 0.7},
            "single": {0: 0.5, 1: 0.6, 2: 0.5},
        }
    )
    assert [(each.better, each.worse, each.wins) for each in found] == [
        ("transfer", "merge", 2),
        ("merge", "single", 3),
    ]
    assert found[0].difference == pytest.approx((0.1 - 0.01 + 0.2) / 3)
    assert verdict("clrnet", found).startswith(
        "clrnet: transfer > merge > single came out by less than differs between "
        "seeds, over 3 seeds (transfer - merge +0.097 ± 0.105"
    )


def test_a_claim_beyond_the_spread_over_seeds_comes_out_plainly() -> None:
    found = compare(
        {
            "transfer": {0: 0.9, 1: 0.85, 2: 0.9},
            "merge": {0: 0.8, 1: 0.7, 2: 0.8},
            "single": {0: 0.5, 1: 0.6, 2: 0.5},
        }
    )
    assert all(each.beyond_spread for each in found)
    assert verdict("clrnet", found).startswith(
        "clrnet: transfer > merge > single came out, over 3 seeds (transfer - merge +0.117"
    )


def test_one_lucky_seed_does_not_carry_it() -> None:
    found = compare(
        {
            "transfer": {0: 0.99, 1: 0.7, 2: 0.7},
            "merge": {0: 0.5, 1: 0.72, 2: 0.73},
            "single": {0: 0.4, 1: 0.4, 2: 0.4},
        }
    )
    assert found[0].difference > 0
    assert not found[0].holds
    assert "did not come out, over 3 seeds" in verdict("meso4", found)
    assert "ahead for 1 of 3" in verdict("meso4", found)


def test_only_shared_seeds_count_and_one_seed_has_no_deviation() -> None:
    scores = {"transfer": {0: 0.6}, "merge": {0: 0.5, 1: 0.9}, "single": {0: 0.5}}
    first, second = compare(scores)  # type: ignore[arg-type]
    assert first.seeds == 1
    assert first.deviation is None
    assert second.difference == 0
    assert not second.holds
    assert "one seed, which proves little" in verdict("meso4", [first])
    with pytest.raises(ValueError, match="no seed in common"):
        compare({"transfer": {0: 1.0}, "merge": {1: 1.0}, "single": {0: 1.0}})
