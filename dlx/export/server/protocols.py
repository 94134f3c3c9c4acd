"""The bodies of two protocols: the Open Inference Protocol, version 2, and TensorFlow Serving's REST interface.

https://github.com/open-inference/open-inference-protocol, with Triton's extension of binary data;
https://www.tensorflow.org/tfx/serving/api_rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlx.errors import DataError
from dlx.export.server import reading
from dlx.inference.inputs import Batch, Inputs
from dlx.inference.onnx_model import INPUT, OUTPUTS, answer_shape, facts
from dlx.inference.predictor import Predictor

if TYPE_CHECKING:
    import numpy as np

DTYPES = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip


def datatype(dtype: str) -> str:
    """The protocol's name of a type of numpy's."""
    return next((name for name, known in DTYPES.items() if known == dtype), "FP32")


def output(predictor: Predictor) -> str:
    """The name of what a model gives."""
    return OUTPUTS[0] if predictor.classes else OUTPUTS[1]


def metadata(name: str, predictor: Predictor) -> dict[str, Any]:
    """The metadata of a model. A table or a text is asked for by its columns, as the data has them."""
    inputs, shape = predictor.inputs, [-1, *answer_shape(facts(predictor.info))]
    taken = [{"name": INPUT, "datatype": datatype(inputs.dtype), "shape": [-1, *inputs.shape]}]
    if inputs.kind != "series" and reading.columns(inputs):
        taken = [{"name": column, "datatype": "BYTES", "shape": [-1]} for column in reading.columns(inputs)]
    outputs = [{"name": output(predictor), "datatype": "FP32", "shape": shape}]
    return {"name": name, "versions": ["1"], "platform": "dlx", "inputs": taken, "outputs": outputs}


def infer_request(raw: bytes, header: str | None) -> tuple[dict[str, Any], bytes]:
    """(the JSON, the binary data behind it) of a body; header: Inference-Header-Content-Length, where it was sent."""
    if header is None:
        end = len(raw)
    elif header.isascii() and header.isdigit() and int(header) <= len(raw):
        end = int(header)
    else:
        raise DataError(f"Inference-Header-Content-Length is {header[:20]!r}, of a body of {len(raw)} bytes")
    request = reading.parsed(raw[:end])
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list) or not request["inputs"]:
        raise DataError('expected {"inputs": [{"name", "shape", "datatype", "data"}]}', where="the body")
    return request, raw[end:]


def infer_inputs(inputs: Inputs, request: Mapping[str, Any], binary: bytes) -> Iterator[Batch]:
    """The batches of a request of version 2: the array `input`, or the columns of a table by their names."""
    tensors: dict[str, Any] = {}
    start = 0
    for item in request["inputs"]:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise DataError("an input has no name", where="inputs")
        parameters = item.get("parameters") or {}
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        piece = None
        if size is not None:
            if not isinstance(size, int) or not 0 <= size <= len(binary) - start:
                raise DataError("binary_data_size is none of the data behind the JSON", where=item["name"])
            piece, start = binary[start : start + size], start + size
        if item["name"] in tensors:
            raise DataError("is there twice", where=item["name"])
        tensors[item["name"]] = _tensor(item, piece)
    if set(tensors) == {INPUT} and INPUT not in reading.columns(inputs):
        value = tensors[INPUT]
        if value.dtype == object:
            return _texts(inputs, [_text(item) for item in value.ravel()])
        return reading.of_array(inputs, value)
    if not any(reading.columns(inputs)):
        raise DataError(f"the one input is {INPUT!r}", where=next(iter(tensors)))
    return inputs.of_columns({name: [_text(item) for item in value.ravel()] for name, value in tensors.items()}, INPUT)


def _texts(inputs: Inputs, values: list[str]) -> Iterator[Batch]:
    if inputs.kind != "text":
        raise DataError("BYTES are for texts and columns", where=INPUT)
    return reading.of_json(inputs, values)


def _tensor(item: Mapping[str, Any], binary: bytes | None) -> np.ndarray:
    """An input as an array; of BYTES one of objects."""
    import numpy as np

    name, shape, kind = item["name"], item.get("shape"), item.get("datatype")
    if not isinstance(shape, list) or not all(isinstance(n, int) and 0 <= n < 2**31 for n in shape):
        raise DataError(f"shape is {shape!r}", where=name)
    if kind not in DTYPES and kind != "BYTES":
        raise DataError(f"datatype is {kind!r}, expected one of {', '.join(DTYPES)}, BYTES", where=name)
    count = math.prod(shape)
    if binary is not None:
        values = _strings(binary, name) if kind == "BYTES" else None
        if values is None and len(binary) != count * np.dtype(DTYPES[kind]).itemsize:
            raise DataError(f"has {len(binary)} bytes, its shape wants another number", where=name)
        array = np.array(values, object) if values is not None else np.frombuffer(binary, DTYPES[kind])
    else:
        array = _numbers(item.get("data"), kind, name)
    if array.size != count:
        raise DataError(f"has {array.size} elements, its shape {shape} wants {count}", where=name)
    return array.reshape(shape)


def _numbers(data: Any, kind: str, name: str) -> np.ndarray:
    import numpy as np

    if not isinstance(data, list):
        raise DataError("has no data", where=name)
    if kind == "BYTES":
        return np.array([str(item) for item in data], object)
    try:
        given = np.asarray(data)
        array = given.astype(DTYPES[kind]) if given.dtype.kind in "biuf" else None
    except (TypeError, ValueError, OverflowError) as error:  # lists of unequal lengths, numbers beyond all types
        raise DataError(f"its data is no {kind} ({error})", where=name) from error
    if array is None or (array.dtype.kind in "biu" and not (array == given).all()):
        raise DataError(f"its data is no {kind}", where=name)
    return array.ravel()


def _strings(raw: bytes, name: str) -> list[bytes]:
    """Strings, each behind its length in four bytes."""
    values, place = [], 0
    while place < len(raw):
        end = place + 4 + int.from_bytes(raw[place : place + 4], "little")
        if end > len(raw) or place + 4 > len(raw):
            raise DataError("is cut off", where=name)
        values.append(raw[place + 4 : end])
        place = end
    return values


def _text(item: Any) -> str:
    try:
        return item.decode("utf-8") if isinstance(item, bytes) else str(item)
    except UnicodeDecodeError as error:
        raise DataError("holds BYTES that are not text in UTF-8", where="inputs") from error


def infer_response(
    name: str, predictor: Predictor, request: Mapping[str, Any], answers: np.ndarray
) -> tuple[bytes, int | None]:
    """(a body, where its binary data begins if it has some) of answers (n, …)."""
    import numpy as np

    array = np.ascontiguousarray(answers, np.float32)
    parameters = request.get("parameters")
    binary = isinstance(parameters, dict) and bool(parameters.get("binary_data_output"))
    wanted = request.get("outputs")
    for item in wanted if isinstance(wanted, list) else []:
        if not isinstance(item, dict) or item.get("name") != output(predictor):
            raise DataError(f"the one output is {output(predictor)!r}", where="outputs")
        own = item.get("parameters")
        if isinstance(own, dict) and "classification" in own:
            raise DataError("gives no classification, but the probabilities of all classes", where="outputs")
        binary = bool(own.get("binary_data", binary)) if isinstance(own, dict) else binary
    described: dict[str, Any] = {"name": output(predictor), "datatype": "FP32", "shape": list(array.shape)}
    if binary:
        described["parameters"] = {"binary_data_size": array.nbytes}
    else:
        described["data"] = array.ravel().tolist()
    head = {"model_name": name, "model_version": "1", "outputs": [described]}
    if isinstance(request.get("id"), str):
        head["id"] = request["id"]
    text = json.dumps(head).encode()
    return (text + array.tobytes(), len(text)) if binary else (text, None)


def serving_request(inputs: Inputs, raw: bytes) -> tuple[Iterator[Batch], str]:
    """(the batches, the key of the answer) of a request of TensorFlow Serving: instances, or inputs."""
    value = reading.parsed(raw)
    if not isinstance(value, dict) or not {"instances", "inputs"} & value.keys():
        raise DataError('expected {"instances": [...]}', where="the body")
    if "instances" in value:
        given = value["instances"]
        if isinstance(given, list) and INPUT not in reading.columns(inputs):
            given = [item[INPUT] if isinstance(item, dict) and item.keys() == {INPUT} else item for item in given]
        return reading.of_json(inputs, given, "instances"), "predictions"
    given = value["inputs"]
    if isinstance(given, dict) and len(given) == 1 and INPUT in given and INPUT not in reading.columns(inputs):
        given = given[INPUT]
    if isinstance(given, dict) and all(isinstance(column, list) for column in given.values()):
        return inputs.of_columns(given, "inputs"), "outputs"
    return reading.of_json(inputs, given, "inputs"), "outputs"


def serving_status() -> dict[str, Any]:
    """The state of the one version of a model."""
    status = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": status}]}


def serving_metadata(name: str, predictor: Predictor) -> dict[str, Any]:
    """The signature of a model."""
    about = metadata(name, predictor)

    def ends(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            item["name"]: {
                "dtype": "DT_STRING" if item["datatype"] == "BYTES" else _tensorflow(item["datatype"]),
                "tensor_shape": {"dim": [{"size": str(extent)} for extent in item["shape"]]},
            }
            for item in items
        }

    signature = {"inputs": ends(about["inputs"]), "outputs": ends(about["outputs"])}
    spec = {"name": name, "signature_name": "", "version": "1"}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}}}


def _tensorflow(kind: str) -> str:
    """TensorFlow's name of a type of the protocol."""
    return {"FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "FP16": "DT_HALF"}.get(kind, f"DT_{DTYPES[kind].upper()}")
