"""A network as an ONNX file."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.errors import DataError, RunError
from dlx.export import metadata
from dlx.export.agreement import Answers
from dlx.export.subject import Quantize, Subject
from dlx.export.tf_function import convertible, function, output_name
from dlx.inference.onnx_model import INPUT, KEY, open_model, open_session
from dlx.system.backend import quiet

OPSET = 18  # the newest that the converter writes and browsers read
WEIGHTED = ["MatMul", "Gemm"]  # what a dynamic quantisation changes: convolutions of it take longer than before


def write(subject: Subject, path: Path, quantize: Quantize) -> None:
    """Write the file `path`. Raises Exception, whatever TensorFlow or the converter does."""
    import onnx

    onnx.save_model(_quantized(_converted(subject), quantize, subject), str(path))


def describe(path: Path, record: Mapping[str, Any]) -> None:
    """Put what the model says of itself into its metadata."""
    import onnx

    model = onnx.load_model(str(path))
    del model.metadata_props[:]
    model.metadata_props.add(key=KEY, value=json.dumps(record))
    onnx.save_model(model, str(path))


def opened(path: Path, info: Mapping[str, Any]) -> Answers:
    """What answers batches of raw inputs by the file alone, in ONNX Runtime."""
    return open_session(path.read_bytes()).answers


def _converted(subject: Subject) -> Any:
    with quiet(), convertible(subject.network):
        import tf2onnx

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        answer = function(subject.network, subject.info, subject.scaling)
        model, _ = tf2onnx.convert.from_function(
            answer, answer.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
        )
    names = {model.graph.input[0].name: INPUT, model.graph.output[0].name: output_name(subject.info)}
    _rename(model.graph, names)
    if metadata.of_bytes(subject.info):
        _resize(model.graph, subject.info["input"]["shape"])
    return model


def _resize(graph: Any, shape: Sequence[int]) -> None:
    """Let a graph take images (n, height, width, channels) of every size, and bring them to `shape` as Pillow does.

    That is bilinear over all pixels that an output covers, in whole numbers; what Pillow gives may differ by 1 of 255.
    """
    from onnx import TensorProto, helper

    height, width, channels = shape
    _rename(graph, {INPUT: "resized"})
    (taken,) = graph.input
    taken.CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", "height", "width", channels]))
    graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [3], [height, width, channels]))
    before = [
        helper.make_node("Shape", [INPUT], ["count"], start=0, end=1),
        helper.make_node("Concat", ["count", "shape"], ["sizes"], axis=0),
        helper.make_node(
            "Resize", [INPUT, "", "", "sizes"], ["resized"], mode="linear", antialias=1, exclude_outside=1,
            coordinate_transformation_mode="half_pixel",
        ),
    ]  # fmt: skip
    nodes = [*before, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _quantized(model: Any, quantize: Quantize, subject: Subject) -> Any:
    """The model with smaller numbers."""
    if quantize == "none":
        return model
    with tempfile.TemporaryDirectory(prefix="dlx-") as scratch:
        target = Path(scratch) / "quantized.onnx"
        if quantize == "float16":
            from onnxruntime.transformers.float16 import convert_float_to_float16

            return convert_float_to_float16(model, keep_io_types=True)
        from onnxruntime import quantization

        logging.disable(logging.WARNING)  # advice of ONNX Runtime to users of its own
        try:
            if quantize == "dynamic":
                quantization.quantize_dynamic(model, target, op_types_to_quantize=WEIGHTED)
            else:
                quantization.quantize_static(model, target, _usual(subject))
        finally:
            logging.disable(logging.NOTSET)
        import onnx

        return onnx.load_model(str(target))


def _usual(subject: Subject) -> Any:
    """The inputs from which ONNX Runtime takes the ranges of what layers give."""
    from onnxruntime import quantization

    if subject.usual is None:
        raise DataError("a static quantisation needs examples, and the run's data cannot be loaded")
    rows = iter(subject.usual)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            row = next(rows, None)
            return None if row is None else {INPUT: row[None]}

    return Reader()


def _erfc(context: Any, node: Any, name: str, args: Any) -> None:
    """erfc(x) as 1 - erf(x): ONNX has Erf alone."""
    import numpy as np

    node.type = "Erf"
    one = context.make_const(f"{name}_one", np.ones((), np.float32))
    (output,) = node.output
    made = context.make_node("Sub", [one.output[0], output], name=f"{name}_complement")
    context.replace_all_inputs(output, made.output[0], ops=[o for o in context.get_nodes() if o is not made])


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give the ends of a graph other names."""
    for end in (*graph.input, *graph.output):
        end.name = names.get(end.name, end.name)
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(end, end) for end in ends]


def recognizes(path: Path) -> bool:
    """Whether a file is an ONNX file that dlx has written."""
    try:
        return path.is_file() and bool(open_model(path.parent, path.name).record)
    except RunError:
        return False
