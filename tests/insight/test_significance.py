"""The tests of significance agree with SciPy's, and with the error rates that were measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlx.insight.significance import Grain, deviation_bound, holm, mcnemar, paired, seeds_needed, welch

values = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=3, max_size=12)


@given(values, values)
def test_welch_is_scipys(a: list[float], b: list[float]) -> None:
    if len(set(a)) == 1 or len(set(b)) == 1:
        return
    found, theirs = welch(a, b), stats.ttest_ind(a, b, equal_var=False)
    interval = theirs.confidence_interval()
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


@given(values)
def test_paired_t_is_scipys(differences: list[float]) -> None:
    if len(set(differences)) == 1:
        return
    found, theirs = paired(differences), stats.ttest_1samp(differences, 0)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-9)
    assert found.difference == pytest.approx(np.mean(differences), abs=1e-9)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mid_p_is_the_binomial_one(a: int, b: int) -> None:
    few = min(a, b)
    wanted = 2 * stats.binom.cdf(few, a + b, 0.5) - stats.binom.pmf(few, a + b, 0.5) if a + b else 1.0
    found = mcnemar(a, b, 1000)
    assert found.p == pytest.approx(min(wanted, 1.0), rel=1e-8)
    assert found.low < found.difference < found.high or found.difference == 0


def test_groups_without_spread_differ_or_are_equal() -> None:
    assert welch([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]).p == 0
    assert paired([0.0, 0.0, 0.0]).p == 1
    assert welch([0.9] * 3, [0.9028] * 3, Grain(least=0.0014)).p > 0.05


def test_overlapping_train_splits_widen_the_interval() -> None:
    plain, corrected = paired([0.1, 0.2, 0.15, 0.3, 0.1]), paired([0.1, 0.2, 0.15, 0.3, 0.1], Grain(overlap=0.25))
    assert corrected.high - corrected.low == pytest.approx((plain.high - plain.low) * 1.5)
    assert corrected.test == "corrected paired t"


def test_seeds_are_those_of_the_measured_table() -> None:
    assert [seeds_needed(effect, 1.0) for effect in (2, 1.5, 1, 0.5)] == [6, 9, 17, 64]
    assert seeds_needed(1e-9, 1.0) is None
    assert deviation_bound(1.0, 4) == pytest.approx(np.sqrt(4 / stats.chi2.ppf(0.2, 4)))


def test_holm_calls_few_families_of_equal_settings_different() -> None:
    rng, false = np.random.default_rng(1), 0
    for _ in range(200):
        groups = rng.normal(size=(5, 5))
        ps = {(i, j): welch(list(groups[i]), list(groups[j])).p for i in range(5) for j in range(i)}
        false += min(holm(ps).values()) < 0.05
    assert false <= 16
    assert holm({(0, 1): 0.01, (0, 2): 0.04, (1, 2): 0.03}) == pytest.approx({(0, 1): 0.03, (1, 2): 0.06, (0, 2): 0.06})
