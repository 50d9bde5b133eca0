"""Run by a test with PyTorch: Xception by the names of timm, with random weights, and its features of four images."""

import itertools
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn


class Separable(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.pointwise = nn.Conv2d(inner, outer, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.conv1(x))


class Block(nn.Module):
    def __init__(self, widths, stride, relu_first=True):
        super().__init__()
        layers = []
        for inner, outer in itertools.pairwise(widths):
            layers += [nn.ReLU(), Separable(inner, outer), nn.BatchNorm2d(outer)]
        layers = layers if relu_first else layers[1:]
        self.rep = nn.Sequential(*layers, *([nn.MaxPool2d(3, 2, 1)] if stride == 2 else []))
        if stride == 2:
            self.skip = nn.Conv2d(widths[0], widths[-1], 1, stride=2, bias=False)
            self.skipbn = nn.BatchNorm2d(widths[-1])

    def forward(self, x):
        return self.rep(x) + (self.skipbn(self.skip(x)) if hasattr(self, "skip") else x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64)
        halving = {1: (64, 128, 128), 2: (128, 256, 256), 3: (256, 728, 728), 12: (728, 728, 1024)}
        for number in range(1, 13):
            widths, stride = (halving[number], 2) if number in halving else ((728,) * 4, 1)
            setattr(self, f"block{number}", Block(widths, stride, number > 1))
        self.conv3, self.bn3 = Separable(1024, 1536), nn.BatchNorm2d(1536)
        self.conv4, self.bn4 = Separable(1536, 2048), nn.BatchNorm2d(2048)
        self.fc = nn.Linear(2048, 10)

    def forward(self, x):
        x = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        for number in range(1, 13):
            x = getattr(self, f"block{number}")(x)
        return self.bn4(self.conv4(self.bn3(self.conv3(x)).relu())).relu().mean((2, 3))


folder = Path(sys.argv[1])
torch.manual_seed(0)
net = Net().eval()
for module in net.modules():
    if isinstance(module, nn.BatchNorm2d):
        for values, low, high in zip(
            (module.weight, module.bias, module.running_mean, module.running_var),
            (0.5, -0.5, -0.2, 0.2),
            (2, 0.5, 0.2, 2),
            strict=True,
        ):
            nn.init.uniform_(values, low, high)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
save_file(net.state_dict(), folder / "model.safetensors")
# With 71 × 71 pixels every map that is pooled has odd sides, where PyTorch's padding is that of Keras.
images = np.random.default_rng(1).integers(0, 256, (4, 71, 71, 3), np.uint8)
with torch.no_grad():
    features = net(torch.from_numpy(images / np.float32(127.5) - 1).permute(0, 3, 1, 2)).numpy()
np.savez(folder / "features.npz", images=images, features=features)
