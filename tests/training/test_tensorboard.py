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
    results = sorted(
        f"result/{split}_{figure}" for split in ("train", "val", "test") for figure in ("accuracy", "loss")
    )
    tags = {name: sorted(reader.GetAccumulator(name).Tags()["scalars"]) for name in reader.Runs()}
    assert tags == {
        f"{base}/train": ["epoch_accuracy", "epoch_learning_rate", "epoch_loss"],
        f"{base}/validation": ["epoch_accuracy", "epoch_loss", *results],
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
    infos = {info.name: info for info in experiment.hparam_infos}
    assert {"lr", "batch_size", "epochs", "dataset", "optimizer", "layers", "seed"} <= set(infos)
    assert len(infos) < 16  # what the spec says, not what it leaves open
    assert infos["lr"].type == api_pb2.DATA_TYPE_FLOAT64  # which can be sorted
    metrics = {(info.name.group, info.name.tag) for info in experiment.metric_infos}
    assert metrics >= {("", "epoch_loss"), ("", "result/val_loss"), ("", "result/test_accuracy")}
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING],
    )
    groups = list_session_groups.Handler(request, context, "", asked).run().session_groups
    assert sorted(group.hparams["lr"].number_value for group in groups) == [0.001, 0.1]
    assert {session.status for group in groups for session in group.sessions} == {api_pb2.STATUS_SUCCESS}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_text_tab_has_the_spec_and_the_result(dlx: Dlx, small: Path, world: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    assert dlx("run", small).code == 0
    reader = EventAccumulator(str(world / "runs/small-1/tensorboard/validation"))
    reader.Reload()
    said = {tag: make_ndarray(reader.Tensors(tag)[0].tensor_proto).item().decode() for tag in ("spec", "result")}
    assert said["spec"].startswith("```yaml\nname: small")
    metrics = Run(world / "runs/small-1").metrics() or {}
    assert f"| test_accuracy | {100 * metrics['test_accuracy']:.2f} % |" in said["result"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_runs_of_a_sweep_differ_in_a_column_of_numbers(dlx: Dlx, small: Path, world: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    assert dlx("sweep", small, "-s", "layers.dense.units=4,8").code == 0
    units = []
    for number in (1, 2):
        reader = EventAccumulator(str(world / f"runs/small-{number}/tensorboard/validation"))
        reader.Reload()
        content = reader.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        units.append(
            plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams["layers.dense.units"]
        )
    assert [unit.number_value for unit in units] == [4, 8]
