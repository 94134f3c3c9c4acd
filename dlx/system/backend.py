"""Keras, loaded on first touch, and what is fixed for a process: backend, device, threads."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from dlx.errors import DlxError, TrainingError
from dlx.system import hosts
from dlx.system.machine import cores, processor, uncollected
from dlx.system.terminal import doing
from dlx.system.versions import of as version_of

T = TypeVar("T")
BACKENDS = ("tensorflow", "jax")
# What Keras and TensorFlow import where it is installed, and dlx makes no use of through them: half of their time.
UNUSED = frozenset({"tensorflow", "jax", "torch", "sklearn", "scipy", "pandas", "matplotlib"})


class LazyModule(ModuleType):
    """A module that is imported when an attribute of it is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        load()
        return getattr(importlib.import_module(self.__name__), name)


keras: Any = LazyModule("keras")


@dataclass(frozen=True)
class Device:
    """What the process computes on; recorded in every run."""

    backend: str
    device: str
    description: str
    threads: int
    unused: str = ""
    devices: int = 1

    @property
    def shown(self) -> str:
        """The description, before it a GPU that is there and not used, and what to type for it."""
        return f"{self.unused}; {self.description}" if self.unused else self.description

    def record(self) -> dict[str, Any]:
        return {
            "backend": self.backend,
            "device": self.device,
            "device_name": self.description,
            "processor": processor(),
            "threads": self.threads,
            "devices": self.devices,
        }


NVIDIA = ("/dev/nvidiactl", "/dev/nvidia0")  # what its driver makes
_wanted: dict[str, Any] = {"backend": "auto", "device": "auto", "threads": None, "devices": "auto"}
_selected: Device | None = None
_seeded: int | None = None


def want(backend: str = "auto", device: str = "auto", threads: int | None = None, devices: str = "auto") -> None:
    """Set the backend and the device that the process uses; takes effect when Keras is first loaded.

    `threads` are those of a run that continues: on TensorFlow figures depend on their number, so it is set again.
    `devices`: how many of the kind train together, or "all"; "auto" is one.
    Raises DlxError when Keras is loaded already with others.
    """
    wish = {"backend": backend, "device": device, "threads": threads, "devices": devices}
    loaded = _selected is not None and {_selected.backend, "auto"} >= {backend}
    same = _selected is not None and devices in ("auto", str(_selected.devices))
    if loaded and same and _selected is not None and _selected.device == device:  # which `auto` had chosen
        return
    if _selected is not None and wish != _wanted and (backend, device, devices) != ("auto",) * 3:
        raise DlxError(
            f"backend and devices are fixed for a process: it has {_selected.backend} on {_selected.description}",
            hint="start another process for another device",
        )
    if _selected is None:
        _wanted.update(wish)


def loaded() -> str:
    """The backend that is loaded; an empty text while none is."""
    return _selected.backend if _selected is not None else ""


def load() -> Device:
    """Import Keras and its backend once, quietly; returns what the process computes on."""
    global _selected
    if _selected is not None:
        return _selected
    backend = choose(_wanted["backend"], _wanted["device"])
    os.environ["KERAS_BACKEND"] = backend
    if _wanted["device"] == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    name = {"jax": "JAX", "tensorflow": "TensorFlow"}[backend]
    unused = UNUSED - {backend} - ({"scipy"} if backend == "jax" else set())
    with doing(f"loading {name}"), uncollected(), quiet(), _absent(unused):
        device = _jax(_wanted["device"]) if backend == "jax" else _tensorflow(_wanted["device"])
        importlib.import_module("keras").utils.set_random_seed(0)  # looks for other backends
    _selected = device
    return device


def load_jax() -> bool:
    """Load JAX for shapes alone, in a third of TensorFlow's time; whether it is there, and no other backend.

    Only where no other backend was asked for, nor a device that has to be looked for.
    """
    if _selected is None and _wanted["device"] in ("auto", "cpu") and _wanted["backend"] in ("auto", "jax"):
        choose(_wanted["backend"], _wanted["device"])  # what will train has to be there
        try:
            with uncollected(), _absent(UNUSED - {"jax", "scipy"}):
                import jax  # noqa: F401
        except Exception:  # not there, or broken
            return False
        _wanted.update(backend="jax", device="cpu")
        load()
    return _selected is not None and _selected.backend == "jax"


def traced(make: Callable[[], T]) -> T:
    """What `make` returns when arrays have shapes and no numbers, so that nothing is compiled or computed; on JAX."""
    import jax

    made: list[T] = []
    jax.eval_shape(lambda: made.append(make()))
    return made[0]


def choose(backend: str, device: str) -> str:
    """The backend to load: the one asked for, or the installed one that is the fastest on the device.

    That is TensorFlow on a CPU, and JAX on a GPU if it sees it. Raises TrainingError where there is none.
    """
    installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    if backend != "auto" and backend not in installed:
        raise TrainingError(f"backend {backend!r} is not installed", hint=f"pip install {backend}")
    if not installed:
        raise TrainingError(
            "neither TensorFlow nor JAX is installed", hint="pip install tensorflow, or pip install jax"
        )
    if backend != "auto":
        return backend
    if _wanted["devices"] not in ("auto", "1"):
        return "jax" if "jax" in installed else "tensorflow"  # which says that it has no use for several
    on_gpu = device != "cpu" and "jax" in installed and _jax_sees_gpu()
    return "jax" if on_gpu else installed[0]


def sees_gpu(device: str) -> bool:
    """Whether JAX would compute on a GPU."""
    return device != "cpu" and _jax_sees_gpu()


def _jax_sees_gpu() -> bool:
    """Whether JAX has what it needs for a GPU, and finds one; JAX is imported only where there may be one."""
    from importlib import metadata

    plugins = metadata.entry_points(group="jax_plugins")
    if not any("cuda" in plugin.name or "rocm" in plugin.name for plugin in plugins):
        return False
    if not any(os.path.exists(place) for place in (*NVIDIA, "/dev/kfd", "/dev/dxg")):
        return False
    with quiet():
        _jax_settings()
        import jax

        return bool(_jax_devices(jax))


def _jax_settings() -> None:
    """What JAX reads when it first looks for devices: memory as it is needed, the same figures every time."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def _jax_devices(jax: Any) -> list[Any]:
    """The GPUs that JAX sees."""
    try:
        return [device for device in jax.devices() if device.platform in ("gpu", "cuda", "rocm")]
    except RuntimeError:  # no device of any kind could be set up
        return []


def _jax(wanted: str) -> Device:
    """Set JAX up for the device that was asked for."""
    if wanted == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    _jax_settings()
    import jax

    hosts.join(jax)
    several = _wanted["devices"]
    if wanted == "cpu" and several.isdigit() and "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", int(several))  # to try it: they share the cores
    gpus, threads = _jax_devices(jax) if wanted != "cpu" else [], cores()
    if several not in ("auto", "1") or hosts.group().count > 1:
        return _several(gpus or jax.devices(), wanted, several, threads)
    if wanted.startswith("gpu"):
        gpus = [_numbered(gpus, wanted, "JAX", "pip install 'dlx-runner[jax-gpu]' brings JAX's CUDA libraries")]
    if not gpus:
        unused = _unused_gpu(wanted, "JAX", "pip install 'dlx-runner[jax-gpu]'")
        return Device("jax", "cpu", _cpu(wanted, threads), threads, unused)
    jax.config.update("jax_default_device", gpus[0])
    importlib.import_module("dlx.system.pooling").install(importlib.import_module("keras.src.backend.jax.nn"))
    return Device("jax", f"gpu:{gpus[0].id}", f"GPU {gpus[0].id}: {gpus[0].device_kind}", threads)


def _several(found: list[Any], wanted: str, number: str, threads: int) -> Device:
    """Several devices of one kind as one. Raises TrainingError where there are not so many."""
    kind = "CPU" if found[0].platform == "cpu" else "GPU"
    if ":" in wanted:
        raise TrainingError(f"--device {wanted} names one device, --devices {number} several", hint="leave out one")
    if wanted.startswith("gpu") and kind == "CPU":
        _numbered([], wanted, "JAX", "pip install 'dlx-runner[jax-gpu]' brings JAX's CUDA libraries")
    own = len(found) // hosts.group().count
    count = own if number == "all" else int(1 if number == "auto" else number)
    if count > own:
        message = f"--devices {number}: JAX sees {own} {kind}{'s' * (own != 1)}"
        raise TrainingError(message, hint="--device cpu makes several of the processor, to try it")
    there = f" on {hosts.group().count} hosts" if hosts.group().count > 1 else ""
    count *= hosts.group().count
    if kind == "CPU":
        return Device("jax", "cpu", f"{_cpu(wanted, threads)}, as {count} devices{there}", threads, devices=count)
    importlib.import_module("dlx.system.pooling").install(importlib.import_module("keras.src.backend.jax.nn"))
    return Device("jax", "gpu:0", f"{count} GPUs{there}: {found[0].device_kind}", threads, devices=count)


class _Absent:
    """A finder for which some modules are not installed."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextlib.contextmanager
def _absent(names: frozenset[str]) -> Iterator[None]:
    """Let who asks for these modules find them not installed, unless they are loaded already."""
    finder: Any = _Absent(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _numbered(gpus: list[Any], wanted: str, who: str, hint: str) -> Any:
    """The GPU that `gpu` or `gpu:N` names; raises TrainingError where there is none of that number."""
    number = int(wanted.partition(":")[2] or 0)
    if number >= len(gpus):
        message = f"--device {wanted}: {who} sees {len(gpus)} GPU{'s' * (len(gpus) != 1)}"
        raise TrainingError(message, hint=f"{hint}; --device cpu trains without a GPU")
    return gpus[number]


def _unused_gpu(wanted: str, who: str, command: str) -> str:
    """That an NVIDIA card is there and not used, and what mends it; empty where there is none, or none is wanted."""
    if wanted != "auto" or not any(map(os.path.exists, NVIDIA)):
        return ""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "an NVIDIA GPU is here, hidden by CUDA_VISIBLE_DEVICES"
    return f"an NVIDIA GPU is here, but {who} has no libraries for it: {command}"


def _cpu(wanted: str, threads: int) -> str:
    device = "CPU" if wanted == "cpu" else "no GPU found; CPU"
    return f"{device}, {threads} core{'s' * (threads != 1)}"


def _tensorflow(wanted: str) -> Device:
    if _wanted["devices"] not in ("auto", "1"):
        message = f"--devices {_wanted['devices']}: TensorFlow trains on one device here"
        raise TrainingError(message, hint="--backend jax divides each batch among several; pip install jax")
    import tensorflow as tf

    threads = _wanted["threads"] or cores()
    with contextlib.suppress(RuntimeError):  # a program that has used TensorFlow before dlx has set these for good
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        # The loop is one chain of small operations: a second scheduler thread only costs hand-overs.
        tf.config.threading.set_inter_op_parallelism_threads(1)
    threads = tf.config.threading.get_intra_op_parallelism_threads() or cores()
    tf.config.experimental.enable_op_determinism()
    tf.get_logger().setLevel("ERROR")
    gpus = tf.config.list_physical_devices("GPU")
    if wanted.startswith("gpu"):
        gpus = [
            _numbered(gpus, wanted, "TensorFlow", "pip install 'dlx-runner[gpu]' brings TensorFlow's CUDA libraries")
        ]
    if not gpus or wanted == "cpu":
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
        unused = _unused_gpu(wanted, "TensorFlow", "pip install 'dlx-runner[gpu]'")
        return Device("tensorflow", "cpu", _cpu(wanted, threads), threads, unused)
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices(gpus[:1], "GPU")
        tf.config.experimental.set_memory_growth(gpus[0], True)
    number = int(gpus[0].name.rpartition(":")[2])
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "unknown")
    return Device("tensorflow", f"gpu:{number}", f"GPU {number}: {name}", threads)


def prepare(seed: int, precision: str) -> None:
    """Set what belongs to one run: a clean Keras, its seeds and its dtype policy."""
    load()
    _forget_names()
    _seed(seed % 2**32)
    keras.config.set_dtype_policy(precision)
    # A mask ends at the first layer that has no use for one; `dlx check` builds such networks without a word, too.
    warnings.filterwarnings("ignore", "(?s).*was passed an input with a mask", UserWarning)


def _seed(seed: int) -> None:
    """Seed everything; TensorFlow only where its seed is another, because it throws away what it has compiled."""
    import random

    import numpy as np

    global _seeded
    if seed != _seeded:
        keras.utils.set_random_seed(seed)
        _seeded = seed
    random.seed(seed)
    np.random.seed(seed)


def _forget_names() -> None:
    """Let Keras number its layers from the beginning: a network's names depend on nothing that was built before.

    Its `clear_session` would do so too, but throw away what TensorFlow has compiled, which a sweep uses again.
    """
    try:
        state = importlib.import_module("keras.src.backend.common.global_state")
        for name in ("object_name_uids", "global_seed_generator", "uninitialized_variables"):
            state.set_global_attribute(name, None)
    except (ImportError, AttributeError):  # no public name of Keras's
        keras.utils.clear_session(free_memory=False)


def versions() -> dict[str, str]:
    """The versions that a run's figures depend on. Loads Keras."""
    load()
    names = ("keras", "numpy", _selected.backend if _selected else "tensorflow")
    return {"python": sys.version.split()[0], **{name: version_of(name) for name in names}}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what native code writes to the standard error stream; replay it only on failure.

    TensorFlow prints to file descriptor 2 whatever its log level, so the descriptor itself is turned.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except DlxError:
            raise
        except BaseException:
            os.dup2(saved, 2)
            kept.seek(0)
            with contextlib.suppress(OSError):
                os.write(2, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
