"""A starter spec for a dataset that dlx knows by name."""

from __future__ import annotations

from dlx.errors import DlxError
from dlx.parts import REGISTRIES
from dlx.spec.starter.layout import TRAINING, Lines, convolutions

GATES = ("or", "and", "not", "nand", "nor", "xor")


def named_spec(name: str) -> Lines:
    """A spec for a dataset that dlx knows by its name."""
    registry = REGISTRIES["dataset"]
    needed = [parameter.name for parameter in registry.parameters(name).values() if parameter.required]
    if needed:
        raise DlxError(f"{name} needs {', '.join(needed)}", hint=f"dlx init PATH looks at your data; dlx parts {name}")
    facts = registry.help(name).split("\n")[0]
    lines = [f"# {facts}", f"dataset: {name}"]
    if name in ("mnist", "fashion_mnist", "cifar10", "cifar100", "digits"):
        own = name != "digits"
        lines += ["test: auto                    # the dataset's own"] if own else ["test: 0.2"]
        lines += convolutions(small=True)
        return [*lines, *TRAINING, "batch_size: 64", f"epochs: {5 if own else 30}", "early_stop: 5"]
    if name == "binary_addition":
        return [
            *lines,
            "layers:",
            "  - gru: {units: 16, return_sequences: true}",
            "  - output",
            "lr: 0.01",
            "epochs: 10",
        ]
    gate = name in GATES
    lines += ["validation: none" if gate else "validation: 0.2", "layers:"]
    lines += ["  - dense: {units: 16, activation: tanh}", "  - output"]
    return [*lines, "lr: 0.01", f"epochs: {500 if gate else 200}"]
