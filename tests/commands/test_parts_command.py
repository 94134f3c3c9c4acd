"""`dlx parts`: names, a kind, a part, a key."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Dlx

from dlx.commands.parts import plural
from dlx.parts import REGISTRIES
from dlx.spec.annotations import SECTIONS


def test_all_names_fit_on_two_screens_and_none_is_missing(dlx: Dlx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = dlx("parts").out
    assert len(out.splitlines()) <= 80
    assert max(map(len, out.splitlines())) <= 80
    names = out.split()
    assert all(name in names for registry in REGISTRIES.values() for name in registry)
    assert all(key in names for key in SECTIONS)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_kind_lists_its_parts_with_their_first_sentences(dlx: Dlx, kind: str) -> None:
    out = dlx("parts", plural(REGISTRIES[kind])).out
    for name in REGISTRIES[kind]:
        assert f"\n  {name}" in out
        assert REGISTRIES[kind].help(name).split()[0] in out


@pytest.mark.parametrize("key", SECTIONS)
def test_every_key_is_explained(dlx: Dlx, key: str) -> None:
    out = dlx("parts", key).out
    assert out.startswith(f"{key}  (key of a spec)\n")
    assert "\n  value" in out


@pytest.mark.parametrize(
    ("name", "meant"),
    [("earlystopping", "early_stop"), ("Dense", "dense"), ("learning_rat", "lr"), ("Conv2D", "conv2d"), ("SGD", "sgd"),
     ("batchnorm", "batch_normalization"), ("validation_split", "validation")],
)  # fmt: skip
def test_a_wrong_name_gets_the_right_one_of_any_kind(dlx: Dlx, name: str, meant: str) -> None:
    done = dlx("parts", name)
    assert done.code == 2
    assert f"(did you mean '{meant}'?)" in done.err


def test_near_misses_of_keys_get_a_suggestion(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text("dataset: or\nlayers: [output]\nlearning_rat: 1\nbatchsiz: 4\n")
    message = dlx("check", "s.yaml").err
    assert "unknown key 'learning_rat' (did you mean 'lr'?)" in message
    assert "unknown key 'batchsiz' (did you mean 'batch_size'?)" in message
