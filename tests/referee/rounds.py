"""Rounds of the referee: a case is drawn, trained as its user would, and judged."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from cases import Case, cases
from judge import Judge

import dlx as api
from dlx import spec as specs
from dlx.errors import DlxError
from dlx.model.build import build
from dlx.training.experiment import prepare


@dataclass
class Record:
    """How many cases were judged, what was refused and why, and every disagreement."""

    judged: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def judge(case: Case, folder: Path) -> tuple[str, list[str]]:
    """(why the case was refused, or an empty text; the disagreements) of a case that is trained in a folder."""
    path = case.write(folder)
    referee = Judge(case)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with np.errstate(all="ignore"):
            run = api.run(path.name, verbose=0)
            experiment = prepare(specs.load(path))
            network = build(experiment.spec, experiment.facts, targets=experiment.target_scaling)
            start = [np.asarray(weight) for weight in network.logits.trainable_variables]
            return "", referee.disagreements(run.path.resolve(), start)
    except DlxError as error:
        reason = " ".join(str(error).split())
        wrong = referee.refusal(reason)
        kind = re.sub(r"(too coarse for) .*", r"\1 a column", re.sub(r"\S*case.yaml:\S+ |\S*/d.csv: ", "", reason))
        return re.sub(r"-?\d[\d.e+-]*|'\w+'|(, #)+ …?", "#", kind)[:90], [wrong] if wrong else []
    finally:
        os.chdir(before)


def rounds(count: int, seed: int = 0, told: Callable[[Record], None] = lambda record: None) -> Record:
    """Judge so many cases, in tens: within one of them Hypothesis varies what it has drawn before.

    told: hears of the record after each ten.
    """
    record = Record()
    for number in range(-(-count // 10)):
        _ten(min(10, count - 10 * number), 1_000_003 * seed + number, record)
        told(record)
    return record


def _ten(count: int, seed: int, record: Record) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(cases())
    def each(case: Case) -> None:
        folder = Path(tempfile.mkdtemp(prefix="referee-"))
        try:
            refused, wrong = judge(case, folder)
        except Exception:
            refused, wrong = "", [traceback.format_exc(limit=-4)]
        record.judged += 1
        record.refused.update([refused] if refused else [])
        record.wrong += [f"{line}\n    {_shown(case)}" for line in wrong]
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)

    each()


def _shown(case: Case) -> Any:
    columns = {name: (c.dtype.name, c[:2].tolist()) for name, c in case.columns.items()}
    return f"{case.task}, {len(case.targets)} rows, {case.form}, {columns}, {case.targets[:2].tolist()}, {case.spec}"
