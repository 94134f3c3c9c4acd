"""The one kind of failure that a person sees, and the search for what they meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class DlxError(Exception):
    """A mistake that can be put in words: where, what, what was expected, what to type next.

    `exit_code` is what the command line ends with.
    """

    exit_code = 2

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text


class SpecError(DlxError):
    """One or more problems of a spec, each already located."""

    def __init__(self, problems: Sequence[DlxError]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


class RunError(DlxError):
    """A run that is not there, or a directory that is not a run."""


class PlaceError(DlxError):
    """A place to train cannot be reached, or lacks what a training needs."""


class LostError(Exception):
    """The connection to a place is gone; what runs there runs on, and whoever follows it tries again."""


class DataError(DlxError):
    """Data that is missing, damaged or does not fit what was asked."""

    exit_code = 3


class TrainingError(DlxError):
    """The run failed: it diverged, ran out of memory, or its device is not there."""

    exit_code = 4


class DivergenceError(TrainingError):
    """The loss, or a weight, is not finite any more; continuing from before would come to the same."""


class DiskError(DlxError):
    """A file could not be written: no room, or no permission."""

    exit_code = 5


def as_message(error: DlxError) -> dict[str, str]:
    """An error as one process tells it another: its kind under "error"; of several problems of a spec the first."""
    if isinstance(error, SpecError):
        error = error.problems[0]
    return {"error": type(error).__name__, "message": error.message, "where": error.where, "hint": error.hint}


def of_message(message: Mapping[str, Any]) -> DlxError:
    """The error that `as_message` told of."""
    found: Any = globals().get(str(message["error"]))
    known = isinstance(found, type) and issubclass(found, DlxError) and found is not SpecError
    kind: type[DlxError] = found if known else DlxError
    return kind(message["message"], where=message["where"], hint=message["hint"])


def _squeeze(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def suggest(name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None) -> str | None:
    """The known name that `name` most likely stands for, or None.

    `aliases` maps other libraries' spellings (squeezed: lower case, no underscores) to ours.
    """
    names = list(known)
    squeezed = {_squeeze(candidate): candidate for candidate in names}
    key = _squeeze(str(name))
    if key in squeezed:
        return squeezed[key]
    spellings = {alias: candidate for alias, candidate in (aliases or {}).items() if candidate in names}
    if near := difflib.get_close_matches(key, spellings, n=1, cutoff=0.85):
        return spellings[near[0]]
    close = difflib.get_close_matches(key, squeezed, n=3, cutoff=0.6)
    close.sort(key=lambda candidate: sorted(candidate) != sorted(key))  # letters that changed places come first
    return squeezed[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None) -> str:
    """The bracketed suggestion that an error message ends with; empty when nothing is near."""
    suggestion = suggest(name, known, aliases)
    return f" (did you mean {suggestion!r}?)" if suggestion and suggestion != name else ""


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, or its type where it says nothing."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
