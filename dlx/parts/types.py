"""The kinds of value that several parts take. Each alias is both the type and the check."""

from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.parts.registry import Part, Parts

Positive = Annotated[int, Field(gt=0, le=10**9)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e38, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=1e38, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1e38, le=1e38, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Pair = Annotated[list[Positive], Field(min_length=2, max_length=2)]
Single = Annotated[list[Positive], Field(min_length=1, max_length=1)]
Triple = Annotated[list[Positive], Field(min_length=3, max_length=3)]
Size = Positive | Pair
Pixels = Annotated[int, Field(gt=0, le=4096)]
ImageSize = Pixels | Annotated[list[Pixels], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")] | None

Layer = Annotated[Part, Parts("layer")]
Layers = Annotated[list[Part], Parts("layer")]
Stack = Annotated[list[Part], Parts("layer"), Field(min_length=1)]
Branches = Annotated[list[Part], Parts("layer"), Field(min_length=2)]

Padding = Literal["valid", "same"]
Activation = Literal[
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish", "tanh", "tanh_shrink",
]  # fmt: skip
Initial = Literal[
    "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal", "lecun_uniform",
    "ones", "orthogonal", "random_normal", "random_uniform", "truncated_normal", "uniform", "zeros",
]  # fmt: skip
Tuned = Annotated[
    dict[
        Literal["random_normal", "random_uniform", "truncated_normal", "constant", "variance_scaling"],
        Number
        | dict[Literal["mean", "stddev", "minval", "maxval", "value", "scale", "mode", "distribution"], Number | str],
    ],
    Field(min_length=1, max_length=1),
]
Initializer = Initial | Tuned
Regularizer = dict[Literal["l1", "l2"], NonNegative] | None
Constraint = Literal["non_neg", "unit_norm"] | dict[Literal["max_norm"], PositiveFloat]

__all__ = [name for name, value in list(globals().items()) if name[0].isupper() and value is not Any]
