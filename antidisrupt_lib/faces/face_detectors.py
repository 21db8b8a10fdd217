"""Face detectors whose weights come inside their package: nothing is downloaded.

A detector is a function: `detect(frame) -> boxes`. The frame is uint8 H x W x 3 (RGB); the boxes are float n x 4 (left,
top, right, bottom, in pixels) or n x 8 with the centres of the eyes (x and y of the one on the picture's left, then of
the other), which alignment needs. The function's name is written beside every crop, since detectors crop differently.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

Detect = Callable[[np.ndarray], np.ndarray]


def mtcnn(frame: np.ndarray) -> np.ndarray:
    """MTCNN (Zhang et al. 2016) of facenet-pytorch, boxes with eyes, where its probability is above 0.9.

    facenet-pytorch 2.6.0 demands a torch of 2024 and runs with today's: `pip install --no-deps facenet-pytorch==2.6.0`.
    """
    boxes, scores, points = _mtcnn().detect(frame, landmarks=True)
    if boxes is None:
        return np.zeros((0, 8))
    found = np.concatenate([boxes, points[:, :2].reshape(-1, 4)], axis=1).astype(float)
    return found[scores.astype(float) > 0.9]


def opencv_cascade(frame: np.ndarray) -> np.ndarray:
    """OpenCV's frontal-face cascade "alt2" (Viola and Jones 2001): the fallback, which misses turned faces."""
    import cv2

    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    least = min(grey.shape) // 8
    found = _cascade().detectMultiScale(grey, scaleFactor=1.1, minNeighbors=4, minSize=(least, least))
    left, top, width, height = np.asarray(found, float).reshape(-1, 4).T
    return np.stack([left, top, left + width, top + height], axis=1)


DETECTORS = {detect.__name__: detect for detect in (mtcnn, opencv_cascade)}


def face_detector(name: str) -> Detect:
    """The detector of this name, known to be installed.

    Raises:
        ValueError: there is none of this name.
        ImportError: its package isn't installed; the text says how to install it.
    """
    if name not in DETECTORS:
        raise ValueError(f"There is no face detector {name!r}. Choose one of {', '.join(DETECTORS)}.")
    try:
        {"mtcnn": _mtcnn, "opencv_cascade": _cascade}[name]()
    except ImportError as error:
        command = {"mtcnn": "--no-deps facenet-pytorch==2.6.0", "opencv_cascade": '-e ".[video]" -c constraints.txt'}
        raise ImportError(
            f"The face detector {name} is not installed ({error}): pip install {command[name]}"
        ) from error
    return DETECTORS[name]


@cache
def _mtcnn():
    from facenet_pytorch import MTCNN

    # select_largest=False: the package's own sorting by size applies its order to the boxes twice.
    return MTCNN(keep_all=True, select_largest=False)


@cache
def _cascade():
    import cv2

    cv2.setNumThreads(1)  # videos are read in parallel already
    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")
