"""TensorBoard's own readers see the scalars and the HParams of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Dlx

from dlx.runs.run import Run


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboards_reader_sees_every_epoch_once(dlx: Dlx, small: Path, world: Path) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    assert dlx("run", small).code == 0
    reader = EventMultiplexer().AddRunsFromDirectory(str(world / "runs"))
    reader.Reload()
    base = "small-1/tensorboard"
    tags = {name: sorted(reader.GetAccumulator(name).Tags()["scalars"]) for name in reader.Runs()}
    assert tags == {
        base: [],
        f"{base}/train": ["epoch_accuracy", "epoch_learning_rate", "epoch_loss"],
        f"{base}/validation": ["epoch_accuracy", "epoch_loss"],
    }
    rows = Run(world / "runs" / "small-1").history()
    for split, prefix in (("train", "train_"), ("validation", "val_")):
        for name in ("loss", "accuracy"):
            events = reader.Scalars(f"{base}/{split}", f"epoch_{name}")
            assert [event.step for event in events] == [1, 2, 3]
            assert [event.value for event in events] == pytest.approx([row[prefix + name] for row in rows])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_hparams_tab_is_filled(dlx: Dlx, small: Path, world: Path) -> None:
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

    assert dlx("run", small).code == 0
    assert dlx("run", small, "-s", "lr=0.1").code == 0
    reader = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(world / "runs"))
    reader.Reload()
    provider = data_provider.MultiplexerDataProvider(reader, str(world / "runs"))
    context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request = RequestContext()
    experiment = get_experiment.Handler(request, context, "", api_pb2.GetExperimentRequest()).run()
    assert {"lr", "layers.1.dense.units"} <= {info.name for info in experiment.hparam_infos}
    assert {(info.name.group, info.name.tag) for info in experiment.metric_infos} >= {("validation", "epoch_loss")}
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING],
    )
    groups = list_session_groups.Handler(request, context, "", asked).run().session_groups
    assert sorted(group.hparams["lr"].number_value for group in groups) == [0.001, 0.1]
    assert {session.status for group in groups for session in group.sessions} == {api_pb2.STATUS_SUCCESS}
