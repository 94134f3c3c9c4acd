"""The named image sets: shapes, classes, and where Keras keeps and gets them."""

from __future__ import annotations

from dataclasses import dataclass

from dlx.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Known:
    """A named set: the shape of an image, its classes, and where Keras keeps and gets it."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    origin: tuple[str, ...]
    sha256: str = ""
    label_key: str = "labels"


_GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
IDX = (
    "train-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
)

_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

KNOWN = {
    "mnist": Known(
        (28, 28, 1),
        tuple("0123456789"),
        (_GOOGLE + "mnist.npz",),
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),
    "fashion_mnist": Known(
        (28, 28, 1),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        tuple(_GOOGLE + name for name in IDX),
    ),
    "cifar10": Known(
        (32, 32, 3),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        (_TORONTO + "cifar-10-python.tar.gz",),
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    "cifar100": Known(
        (32, 32, 3),
        tuple(_CIFAR100.split()),
        (_TORONTO + "cifar-100-python.tar.gz",),
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        "fine_labels",
    ),
}


def known(name: str) -> Known:
    """The named set; raises DataError with the nearest name otherwise."""
    if name not in KNOWN:
        raise DataError(
            f"unknown data set {name!r}{did_you_mean(name, KNOWN)}",
            hint=f"the store holds {', '.join(KNOWN)}; for other images write in a spec: image_folder: {{path: …}}",
        )
    return KNOWN[name]
