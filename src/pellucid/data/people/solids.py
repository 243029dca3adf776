"""Ellipsoids seen from straight ahead: where each ray meets one, and how far inside its outline it passes.

World axes: x to the viewer's right, y up, z towards the viewer; every ray runs along z. A solid is an
ellipsoid with its axes along a frame's, here the turned head's or the world's. For a ray through (x, y),
relative to the centre, the intersection of ray and quadric has a closed form: the outline is the ellipse
r² = a x² + 2 b x y + c y² = 1, and the near depth is a plane in x and y plus sqrt(1 - r²) times the half
thickness.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Plane = Float[Tensor, "image height width"]
Each = Float[Tensor, "image 1 1"]
Box = tuple[float, float, float, float]
"""Left, right, bottom and top, in the world."""


def each(values: Float[Tensor, " image"]) -> Each:
    """One number for each image, as a plane that fits all."""
    return values[:, None, None]


@dataclass(frozen=True)
class Canvas:
    """The pixels that are drawn.

    Attributes:
        x: [1 1 width], centres of the pixels, from left to right.
        y: [1 height 1], from top to bottom, falling.
        pixel: The side of a pixel, for edges that are one pixel soft.
    """

    x: Float[Tensor, "1 1 width"]
    y: Float[Tensor, "1 height 1"]
    pixel: float

    def window(self, box: Box) -> tuple["Canvas", slice, slice]:
        """The pixels within (left, right, bottom, top), and which rows and columns they are."""
        left, right, bottom, top = box
        columns = _within(self.x[0, 0], left, right)
        rows = _within(-self.y[0, :, 0], -top, -bottom)
        return Canvas(self.x[:, :, columns], self.y[:, rows], self.pixel), rows, columns


def _within(ascending: Float[Tensor, " pixel"], low: float, high: float) -> slice:
    ends = torch.searchsorted(ascending, torch.tensor([low, high]))
    return slice(int(ends[0]), int(ends[1]))


def canvas(size: int, box: Box) -> Canvas:
    """A picture of `size` pixels a side that shows a square part of the world."""
    left, right, _, top = box
    side = right - left
    offsets = (torch.arange(size, dtype=torch.float32) + 0.5) * (side / size)
    return Canvas((left + offsets)[None, None, :], (top - offsets)[None, :, None], side / size)


@dataclass(frozen=True)
class Frame:
    """A turned set of axes with an origin, one for each image.

    Attributes:
        rotation: [image 3 3], whose columns are the frame's axes in the world.
        origin: [image 3], in the world.
    """

    rotation: Float[Tensor, "image 3 3"]
    origin: Float[Tensor, "image 3"]

    def towards(self, direction: Float[Tensor, "image 3"]) -> Float[Tensor, "image 3"]:
        """A direction of the world, in the frame's axes."""
        return torch.einsum("nij,ni->nj", self.rotation, direction)

    def points(self, canvas: Canvas, depth: Plane) -> tuple[Plane, Plane, Plane]:
        """The frame's coordinates of what lies at a depth behind each pixel."""
        origin, turned = self.origin, self.rotation
        shift = torch.einsum("nij,ni->nj", turned, origin)  # the origin in the frame's axes
        planes = []
        for axis in range(3):
            across = each(turned[:, 0, axis]) * canvas.x - each(shift[:, axis])
            flat = across + each(turned[:, 1, axis]) * canvas.y
            planes.append(flat.addcmul_(depth, each(turned[:, 2, axis])))
        return planes[0], planes[1], planes[2]


def turned_frame(
    azimuth: Float[Tensor, " image"], elevation: Float[Tensor, " image"], origin: Float[Tensor, "image 3"]
) -> Frame:
    """Axes turned to the viewer's right by `azimuth` and upwards by `elevation`, in radians."""
    sin_a, cos_a, sin_e, cos_e = azimuth.sin(), azimuth.cos(), elevation.sin(), elevation.cos()
    zero = torch.zeros_like(sin_a)
    x_axis = torch.stack([cos_a, zero, -sin_a], 1)
    y_axis = torch.stack([-sin_a * sin_e, cos_e, -cos_a * sin_e], 1)
    z_axis = torch.stack([sin_a * cos_e, sin_e, cos_a * cos_e], 1)
    return Frame(torch.stack([x_axis, y_axis, z_axis], 2), origin)


@dataclass(frozen=True)
class Ellipsoid:
    """Its centre and half axes in a frame's coordinates.

    Attributes:
        centre: [image 3].
        axes: [image 3], all above 0.
    """

    centre: Float[Tensor, "image 3"]
    axes: Float[Tensor, "image 3"]

    def rows(self, chosen: Int[Tensor, " some"]) -> "Ellipsoid":
        """The ellipsoids of some images."""
        return Ellipsoid(self.centre[chosen], self.axes[chosen])

    def normal(self, x: Plane, y: Plane, z: Plane) -> tuple[Plane, Plane, Plane]:
        """The outward direction at points of the surface, in the frame; its length is not 1."""
        return self._from_centre((x, y, z), self.axes.square().reciprocal())

    def shadow(self, x: Plane, y: Plane, z: Plane, light: Float[Tensor, "image 3"], softness: float) -> Plane:
        """How much of the light the ellipsoid keeps from points outside it, 0 to 1.

        Args:
            x: The frame's coordinates of the points.
            y: The same.
            z: The same.
            light: Direction to the light in the frame.
            softness: Width of the shadow's edge, in half axes.
        """
        inverse = self.axes.reciprocal()
        ray = light * inverse  # [image 3]
        ray = ray / ray.norm(dim=1, keepdim=True)
        u, v, w = self._from_centre((x, y, z), inverse)
        along = (u * each(ray[:, 0])).addcmul_(v, each(ray[:, 1])).addcmul_(w, each(ray[:, 2]))
        apart = u.square_().addcmul_(v, v).addcmul_(w, w).addcmul_(along, along, value=-1)
        covered = apart.mul_(-1 / softness).add_(1 / softness).clamp_(0, 1)
        return covered.mul_(along.mul_(-8).clamp_(0, 1))

    def _from_centre(
        self, point: tuple[Plane, Plane, Plane], scale: Float[Tensor, "image 3"]
    ) -> tuple[Plane, Plane, Plane]:
        """How far points are from the centre along each axis, times `scale`."""
        offset = -self.centre * scale
        x, y, z = (
            torch.addcmul(each(offset[:, axis]), plane, each(scale[:, axis]))
            for axis, plane in enumerate(point)
        )
        return x, y, z


@dataclass(frozen=True)
class Seen:
    """An ellipsoid as the picture shows it.

    Attributes:
        depth: z in the world of its near side; where it is missed, it falls away fast.
        inside: Distance inside its outline, in pixels; negative outside.
    """

    depth: Plane
    inside: Plane


def see(canvas: Canvas, frame: Frame, solid: Ellipsoid) -> Seen:
    """Look at an ellipsoid."""
    centre = frame.origin + torch.einsum("nij,nj->ni", frame.rotation, solid.centre)
    scaled = frame.rotation.transpose(1, 2) / solid.axes[:, :, None]  # [image axis world], to the unit sphere
    right, up, near = scaled.unbind(2)
    nearness = near.square().sum(1)  # of A t² + 2 B t + C = 0: A
    slope_x, slope_y = -(right * near).sum(1) / nearness, -(up * near).sum(1) / nearness
    a = right.square().sum(1) - slope_x.square() * nearness
    b = (right * up).sum(1) - slope_x * slope_y * nearness
    c = up.square().sum(1) - slope_y.square() * nearness
    x, y = canvas.x - each(centre[:, 0]), canvas.y - each(centre[:, 1])
    left = _quadratic(-a, -2 * b, -c, x, y, 1)  # 1 - r²
    # the length of half the gradient of r², in pixels, and a trace more so that no centre divides by zero
    unit = (2 * canvas.pixel) ** 2
    xx, xy, yy = unit * (a.square() + b.square()), unit * 2 * b * (a + c), unit * (b.square() + c.square())
    inside = _quadratic(xx, xy, yy, x, y, 1e-6 * unit).clamp_(min=1e-12).rsqrt_().mul_(left)
    rise = left.clamp(min=0).sqrt_().add_(left.clamp_(max=0), alpha=4)
    plane = (each(slope_x) * x + each(centre[:, 2])) + each(slope_y) * y
    return Seen(plane.addcmul_(rise, each(nearness.rsqrt())), inside)


def _quadratic(
    xx: Float[Tensor, " image"],
    xy: Float[Tensor, " image"],
    yy: Float[Tensor, " image"],
    x: Float[Tensor, "image 1 width"],
    y: Float[Tensor, "image height 1"],
    constant: float,
) -> Plane:
    """xx x² + xy x y + yy y² + constant, with most of the work done on rows and columns."""
    return torch.addcmul(each(xx) * x.square() + constant, each(xy) * x + each(yy) * y, y)
