"""Other libraries' spellings of keys and parameters."""

from __future__ import annotations

from pathlib import Path

from dlx.runs.find import command_line
from dlx.spec.parse import write_value

KEY_ALIASES = {
    "learningrate": "lr",
    "model": "layers",
    "network": "layers",
    "data": "dataset",
    "batch": "batch_size",
    "nepoch": "epochs",
    "nbepoch": "epochs",
    "numepochs": "epochs",
    "patience": "early_stop",
    "earlystopping": "early_stop",
    "validationsplit": "validation",
    "val": "validation",
    "regularizer": "regularization",
    "weightdecay": "regularization",
    "augmentation": "augment",
    "preprocessing": "preprocess",
    "objective": "loss",
    "dtype": "precision",
    "maxsteps": "steps",
    "randomseed": "seed",
    "scheduler": "schedule",
    "lrschedule": "schedule",
    "classweights": "class_weight",
    "sampleweight": "class_weight",
    "pretrainedweights": "weights",
    "initfrom": "weights",
    "checkpoint": "weights",
}
PARAMETER_ALIASES = {
    "filter": "filters",
    "nbfilter": "filters",
    "outchannels": "filters",
    "kernel": "kernel_size",
    "filtersize": "kernel_size",
    "stride": "strides",
    "nunits": "units",
    "outfeatures": "units",
    "p": "rate",
    "keepprob": "rate",
    "prob": "rate",
    "regularizer": "kernel_regularizer",
    "weightsinit": "kernel_initializer",
    "alpha": "negative_slope",
    "size": "image_size",
    "target": "label",
    "nsamples": "samples",
    "angle": "degrees",
    "betas": "beta_1",
    "eps": "epsilon",
}


def data_hint(name: str, folder: Path) -> str:
    """How a spec in `folder` names the files that were written as a dataset: a folder, a table, arrays; or ''."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending in ("csv", "tsv", "txt"):
        part = write_value({"csv": {"path": name, "label": "COLUMN"}})
        return f"a table is dataset: {part}; {command_line('dlx', 'init', name)} writes a spec"
    if ending in ("npz", "npy"):
        return f"arrays are dataset: {write_value({'npz': {'path': name}})}"
    if "/" in name or "\\" in name or (folder / name).is_dir():
        part = write_value({"image_folder": {"path": name}})
        return f"a folder of images is dataset: {part}; {command_line('dlx', 'init', name)} writes a spec"
    return ""
