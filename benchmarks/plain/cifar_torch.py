"""CIFAR-10 in PyTorch, written by hand: the data on the device, channels last, a fused optimizer, no logs.

    python cifar_torch.py EPOCHS NET [bfloat16] [augment] [compile]

NET is `three_layer_sets` or `speedrun`, the networks of the specs of these names. Prints a JSON object: the seconds of
an epoch, the evaluation of the test split included.
"""

import json
import sys
import time

import numpy as np
import torch
from data import arrays
from torch import nn
from torch.nn import functional

epochs, name, *words = int(sys.argv[1]), *sys.argv[2:]
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.manual_seed(0)
torch.backends.cudnn.benchmark = True
torch.set_float32_matmul_precision("high")
torch.backends.cudnn.allow_tf32 = True


class Eighth(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 8


class Residual(nn.Module):
    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def block(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]


if name == "speedrun":
    batch, lr = 512, 0.4
    net = nn.Sequential(
        *block(3, 64), *block(64, 128), nn.MaxPool2d(2), Residual(*block(128, 128), *block(128, 128)),
        *block(128, 256), nn.MaxPool2d(2), *block(256, 512), nn.MaxPool2d(2),
        Residual(*block(512, 512), *block(512, 512)), nn.AdaptiveMaxPool2d(1), nn.Flatten(), Eighth(),
        nn.Linear(512, 10),
    )  # fmt: skip
else:
    batch, lr, layers, before = 96, 0.001, [], 3
    for after in (32, 64, 64):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        before = after
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 512), nn.ReLU(inplace=True), nn.Linear(512, 10))
net = net.to(device, memory_format=torch.channels_last)
forward = torch.compile(net) if "compile" in words else net
fused = device.type == "cuda"
if name == "speedrun":
    optimizer = torch.optim.SGD(net.parameters(), lr, 0.9, nesterov=True, weight_decay=5e-4, fused=fused)
else:
    optimizer = torch.optim.Adam(net.parameters(), lr, eps=1e-8, fused=fused)

(x_train, y_train), (x_test, y_test) = (
    (torch.tensor(x).to(device).permute(0, 3, 1, 2), torch.tensor(y.astype(np.int64).ravel()).to(device))
    for x, y in arrays("cifar10")
)
mean, std = x_train.float().mean((0, 2, 3), keepdim=True), x_train.float().std((0, 2, 3), keepdim=True)
steps = -(-len(x_train) // batch)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps + 1, pct_start=0.25)


def augmented(x: torch.Tensor) -> torch.Tensor:
    """Flipped, moved by up to 4 pixels with the edge mirrored, an 8x8 square set to the mean: one choice an image."""
    count = len(x)
    flips = torch.rand(count, 1, 1, 1, device=device) < 0.5
    x = torch.where(flips, x.flip(3), x)
    padded = functional.pad(x, (4, 4, 4, 4), mode="reflect")
    place = torch.arange(32, device=device)
    rows = torch.randint(0, 9, (count, 1), device=device) + place
    columns = torch.randint(0, 9, (count, 1), device=device) + place
    each = torch.arange(count, device=device)[:, None, None]
    x = padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    top, left = (torch.randint(0, 25, (count, 1), device=device) for _ in range(2))
    inside_rows, inside_columns = ((place >= at) & (place < at + 8) for at in (top, left))
    return x * ~(inside_rows[:, None, :, None] & inside_columns[:, None, None, :])


def scaled(x: torch.Tensor) -> torch.Tensor:
    return ((x.float() - mean) / std).contiguous(memory_format=torch.channels_last)


seconds, accuracy = [], 0.0
for _ in range(epochs):
    started = time.perf_counter()
    net.train()
    order = torch.randperm(len(x_train), device=device)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        x = scaled(x_train[rows])
        x = augmented(x) if "augment" in words else x
        with torch.autocast(device.type, torch.bfloat16, enabled="bfloat16" in words):
            loss = functional.cross_entropy(forward(x), y_train[rows], label_smoothing=0.1 * (name == "speedrun"))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if name == "speedrun":
            schedule.step()
    net.eval()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled="bfloat16" in words):
        right = sum(
            (forward(scaled(x_test[start : start + 500])).argmax(1) == y_test[start : start + 500]).sum()
            for start in range(0, len(x_test), 500)
        )
    accuracy = float(right) / len(x_test)
    seconds.append(time.perf_counter() - started)
usual = float(np.median(seconds[1:])) if len(seconds) > 1 else None
print(json.dumps({
    "net": name, "words": words, "device": str(device), "epoch_seconds": usual, "first_seconds": seconds[0],
    "seconds_after_first": sum(seconds[1:]), "test_accuracy": accuracy,
    "examples_per_second": len(x_train) / usual if usual else None,
}))  # fmt: skip
