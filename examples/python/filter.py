"""A worker: it blurs images, and crashes as native code does when it is told to."""

import ctypes

import numpy as np

import understudy_worker as us


@us.actor
class Filter:
    def __init__(self, radius):
        self.radius = radius

    def blur(self, image):
        """Average each pixel with its neighbours along both axes."""
        out = us.empty(image.shape, image.dtype)
        width = 2 * self.radius + 1
        grey = image.astype("float32")
        for axis in (0, 1):
            pad = [(0, 0)] * grey.ndim
            pad[axis] = (self.radius + 1, self.radius)
            sums = np.cumsum(np.pad(grey, pad, mode="edge"), axis=axis)
            n = grey.shape[axis]
            grey = (sums.take(range(width, width + n), axis) - sums.take(range(n), axis)) / width
        out[...] = np.rint(grey)
        return out

    def crash(self):
        ctypes.string_at(0)


if __name__ == "__main__":
    us.run(Filter)
