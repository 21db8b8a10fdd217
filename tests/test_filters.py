"""The filters are those of scikit-image, SciPy and Pillow; the soft JPEG is near the real one and has a gradient."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_tv_chambolle
from torchvision.transforms.v2.functional import gaussian_blur

from antidisrupt_lib.faces.drawn import draw_faces
from antidisrupt_lib.faces.faceset import to_uint8
from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.compose import Composed
from antidisrupt_lib.purification.filters import (
    AverageBlur,
    BitDepth,
    GaussianBlur,
    Jpeg,
    MedianBlur,
    TotalVariation,
    soft_jpeg,
)
from antidisrupt_lib.purification.purify import UNTRAINED, load_purifier
from antidisrupt_lib.seeding import image_generators


