"""Paint simulated people: head and shoulders from their factors, nearest thing in front."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from pellucid.data.people import colors
from pellucid.data.people.factors import NAMES, checked
from pellucid.data.people.features import EYE_HEIGHT, Painted, Surface, band, face_color, spot
from pellucid.data.people.solids import (
    Box,
    Canvas,
    Each,
    Ellipsoid,
    Frame,
    Plane,
    Seen,
    canvas,
    each,
    see,
    turned_frame,
)
from pellucid.data.threads import one_thread
from pellucid.errors import DataError

SIZES = (32, 64, 128, 256)
_PIXELS_AT_ONCE = 64 * 64 * 64  # fewer cost more in calls than they save in cache
_VIEW: Box = (-0.80, 0.80, -0.79, 0.81)
_HEAD = (0.0, 0.10, 0.0)
_FAR, _NOTHING = -0.5, -9.0  # depths behind the head and neck, and behind everything
_AMBIENT, _SKY, _SUN = 0.40, 0.08, 0.72
_FELT, _GLASS = (0.20, 0.33, 0.24), (0.8, 0.9, 1.1)


def render(factors: Tensor, size: int = 64) -> Float32[Tensor, "person 3 size size"]:
    """Draw people.

    Args:
        factors: Floats [person factor], in the order of `FACTORS`.
        size: Pixels a side: 32, 64, 128 or 256.

    Returns:
        RGB in [0, 1], with edges smoothed over one pixel.

    Raises:
        DataError: If a factor is out of its range, or the size is none of these.
    """
    if size not in SIZES:
        raise DataError(f"size: expected one of {', '.join(map(str, SIZES))}, got {size}. Choose one.")
    people = checked(factors)
    picture = torch.empty(len(people), 3, size, size)
    pixels = canvas(size, _VIEW)
    at_once = max(1, _PIXELS_AT_ONCE // size**2)
    with one_thread():
        for start in range(0, len(people), at_once):
            part = slice(start, start + at_once)
            picture[part] = _Portrait(people[part], pixels).painted()
    return picture


class _Layer:
    """A part of the picture that something is painted into."""

    def __init__(self, portrait: "_Portrait", box: Box) -> None:
        self.canvas, rows, columns = portrait.canvas.window(box)
        self._picture = portrait.picture[:, :, rows, columns]
        self._front = portrait.front[:, rows, columns]

    def paint(self, seen: Seen, color: colors.Color | Painted, lit: Plane, worn: Each | None = None) -> None:
        """Paint something where it is in front of everything so far; `lit` is its brightness."""
        nearer = (seen.depth - self._front).div_(1.5 * self.canvas.pixel).add_(0.5).clamp_(0, 1)
        alpha = (seen.inside + 0.5).clamp_(0, 1).mul_(nearer)
        if worn is not None:
            alpha *= worn
        self._picture.mul_((1 - alpha)[:, None])
        self._picture.addcmul_(color if color.ndim == 4 else color[:, :, None, None], (lit * alpha)[:, None])
        torch.where(alpha > 0.5, seen.depth, self._front, out=self._front)


class _Portrait:
    """A few people being painted: the picture, and the depth of what is in front so far."""

    def __init__(self, people: Float32[Tensor, "image factor"], pixels: Canvas) -> None:
        self.people, self.canvas, self.count = people, pixels, len(people)
        self.value = {name: people[:, column].contiguous() for column, name in enumerate(NAMES)}
        value = self.value
        self.width, self.length = value["face_width"], value["face_length"]
        origin = torch.tensor(_HEAD).expand(self.count, 3)
        self.head = turned_frame(value["azimuth"].deg2rad(), value["elevation"].deg2rad(), origin)
        self.body = Frame(torch.eye(3).expand(self.count, 3, 3), torch.zeros(self.count, 3))
        self.light = _direction(value["light_azimuth"].deg2rad(), value["light_elevation"].deg2rad())
        self.head_light = self.head.towards(self.light)
        self.skin, self.hair = colors.skin(value["skin_tone"]), colors.hair(value["hair_color"])
        fall = 1.06 - 0.14 * (pixels.x.square() + (pixels.y - 0.3).square())
        self.picture = colors.background(value["background_color"])[:, :, None, None] * fall[:, None]
        self.front: Plane = torch.full_like(self.picture[:, 0], _NOTHING)

    def painted(self) -> Float32[Tensor, "image 3 size size"]:
        """Everything, from back to front."""
        self._body((-0.20, 0.20, -1, -0.10), self._solid((0, -0.52, -0.06), (0.185, 0.62, 0.20)), self.skin)
        torso = self._solid((0, -1.12, -0.10), (0.90, 0.60, 0.40))
        self._body((-1, 1, -1, -0.40), torso, colors.clothes(self.value["clothes_color"]))
        self._long_hair()
        self._ears()
        self._face()
        self._hair_cap()
        self._worn("hat", _Portrait._hat)
        self._worn("sunglasses", _Portrait._sunglasses)
        return self.picture.clamp_(0, 1)

    def _worn(self, name: str, paint: Callable[["_Portrait"], None]) -> None:
        """Paint what only some people wear, on these."""
        wearers = self.value[name].nonzero()[:, 0]
        if not len(wearers):
            return
        some = _Portrait(self.people[wearers], self.canvas)
        some.picture, some.front = self.picture[wearers], self.front[wearers]
        paint(some)
        self.picture[wearers], self.front[wearers] = some.picture, some.front

    def _body(self, box: Box, solid: Ellipsoid, colour: colors.Color) -> None:
        layer = _Layer(self, box)
        seen = see(layer.canvas, self.body, solid)
        shadow = self._skull().shadow(*self.head.points(layer.canvas, seen.depth), self.head_light, 0.5)
        normal = solid.normal(*self.body.points(layer.canvas, seen.depth))
        layer.paint(seen, colour, _lit(normal, self.light, shadow))

    def _long_hair(self) -> None:
        """Hair that falls behind the face, cut at a height that `hair_length` says."""
        layer = _Layer(self, (-1, 1, -1, 0.72))
        length = self.value["hair_length"]
        width = (0.36 + 0.17 * (length * 3).clamp(max=1)) * self.width
        solid = self._solid((0, -0.24, -0.17), (width, 0.76, 0.40))
        seen = see(layer.canvas, self.head, solid)
        x, y, z = self.head.points(layer.canvas, seen.depth)
        cut = (y - each(-0.02 - 0.78 * length)) / layer.canvas.pixel
        lit = _lit(solid.normal(x, y, z), self.head_light).mul_(_strands(x, z)).mul_(0.85)
        layer.paint(Seen(seen.depth, torch.minimum(seen.inside, cut)), self.hair, lit)

    def _ears(self) -> None:
        for side in (-1, 1):
            layer = _Layer(self, (min(0, 0.6 * side), max(0, 0.6 * side), -0.25, 0.45))
            solid = self._solid((side * 0.385 * self.width, 0.0, -0.09), (0.05, 0.11, 0.07))
            seen = see(layer.canvas, self.head, solid)
            normal = solid.normal(*self.head.points(layer.canvas, seen.depth))
            layer.paint(seen, self.skin, _lit(normal, self.head_light).mul_(0.92))

    def _face(self) -> None:
        layer = _Layer(self, (-0.56, 0.56, -0.50, 0.66))
        skull, jaw, nose = self._skull(), self._jaw(), self._nose()
        first, second, third = (see(layer.canvas, self.head, solid) for solid in (skull, jaw, nose))
        jaws, depth = _smooth_union(first.depth, second.depth, 0.08)
        noses, depth = _smooth_union(depth, third.depth, 0.035)
        x, y, z = self.head.points(layer.canvas, depth)
        upper, lower, tip = (_unit(solid.normal(x, y, z)) for solid in (skull, jaw, nose))
        across, up, near = (
            torch.lerp(torch.lerp(a, b, jaws), c, noses) for a, b, c in zip(upper, lower, tip, strict=True)
        )
        shadow = nose.shadow(x, y, z, self.head_light, 0.5) * (1 - noses) * 0.8
        hats = self.value["hat"].nonzero()[:, 0]
        if len(hats):
            brim = self._brim().rows(hats).shadow(x[hats], y[hats], z[hats], self.head_light[hats], 0.2)
            shadow[hats] = torch.maximum(shadow[hats], brim * each(0.7 * self.value["hat"][hats]))
        surface = Surface(
            x / each(self.width), y / each(self.length), (z * 8).clamp(0, 1), layer.canvas.pixel
        )
        colour = face_color(surface, self.value, self.skin, self.hair)
        inside = torch.maximum(torch.maximum(first.inside, second.inside), third.inside)
        layer.paint(Seen(depth, inside), colour, _lit((across, up, near), self.head_light, shadow))

    def _hair_cap(self) -> None:
        layer = _Layer(self, (-0.62, 0.62, -0.40, 0.75))
        solid = self._solid((0, 0.115, -0.07), (0.445 * self.width, 0.43, 0.50))
        seen = see(layer.canvas, self.head, solid)
        x, y, z = self.head.points(layer.canvas, seen.depth)
        from_part = (x / each(self.width) - each(0.26 * self.value["hair_part"])).abs()
        receded = each(self.value["hairline"])
        line = 0.21 + 0.17 * receded + 0.13 * torch.exp(-from_part / 0.08) - 0.22 * from_part
        opening = torch.minimum(line - y, z * 0.5)  # the face is bare before the ears, below the line
        nape = 0.25 * (z + 0.1).clamp(min=0) - 0.06 - y  # the cap ends above the ears, and lower behind
        whole = torch.minimum(seen.inside, nape / -layer.canvas.pixel)
        parting = 1 - 0.35 * spot((from_part / 0.018).square_()) * (z > 0)
        lit = _lit(solid.normal(x, y, z), self.head_light).mul_(_strands(x, z)).mul_(parting)
        layer.paint(Seen(torch.full_like(z, _FAR), whole), self.hair, lit)  # the far side, seen past the face
        layer.paint(Seen(seen.depth, torch.minimum(whole, opening / -layer.canvas.pixel)), self.hair, lit)

    def _hat(self) -> None:
        worn = each(self.value["hat"])
        felt = torch.tensor([_FELT]).expand(self.count, 3)
        layer = _Layer(self, (-0.70, 0.70, 0.0, 1))
        dome = self._solid((0, 0.20, -0.07), (0.475 * self.width, 0.45, 0.53))
        seen = see(layer.canvas, self.head, dome)
        x, y, z = self.head.points(layer.canvas, seen.depth)
        ribbon = band(y, torch.full_like(y, 0.20), torch.full_like(y, 0.29), layer.canvas.pixel)
        inside = torch.minimum(seen.inside, (y - 0.22) / layer.canvas.pixel)
        lit = _lit(dome.normal(x, y, z), self.head_light).mul_(1 - 0.7 * ribbon)  # the ribbon is darker felt
        layer.paint(Seen(seen.depth, inside), felt, lit, worn)
        layer = _Layer(self, (-1, 1, -0.10, 0.75))
        brim = self._brim()
        seen = see(layer.canvas, self.head, brim)
        normal = brim.normal(*self.head.points(layer.canvas, seen.depth))
        layer.paint(seen, felt * 0.9, _lit(normal, self.head_light), worn)

    def _sunglasses(self) -> None:
        """Two lenses, and a band that is bridge and temples, on a shell around the front of the head."""
        layer = _Layer(self, (-0.65, 0.65, -0.30, 0.50))
        shell = self._solid((0, EYE_HEIGHT * self.length, -0.04), (0.43 * self.width, 0.60, 0.485))
        seen = see(layer.canvas, self.head, shell)
        x, y, z = self.head.points(layer.canvas, seen.depth)
        height = y / each(self.length) - EYE_HEIGHT
        u = (x.abs() - each(0.165 * self.value["eye_spacing"] * self.width)) / 0.14
        w = (height + 0.005) / 0.095
        lens = (1 - (u.square().square() + w.square().square()).sqrt().sqrt()) * 0.10
        frame = torch.minimum(0.017 - (height - 0.03).abs(), z + 0.02)
        inside = torch.minimum(seen.inside, torch.maximum(torch.minimum(lens, z), frame) / layer.canvas.pixel)
        shine = 0.05 + 0.16 * (w * 0.5 + 0.3 + 0.4 * u).clamp(0, 1)
        glass = torch.tensor([_GLASS]).expand(self.count, 3)
        layer.paint(Seen(seen.depth, inside), glass, shine, each(self.value["sunglasses"]))

    def _skull(self) -> Ellipsoid:
        return self._solid((0, 0.11, -0.04), (0.39 * self.width, 0.41, 0.45))

    def _jaw(self) -> Ellipsoid:
        return self._solid((0, -0.09 * self.length, 0.06), (0.325 * self.width, 0.385 * self.length, 0.36))

    def _nose(self) -> Ellipsoid:
        long = self.value["nose_length"]
        return self._solid((0, -0.03 - 0.062 * long, 0.405), (0.056, 0.03 + 0.075 * long, 0.095))

    def _brim(self) -> Ellipsoid:
        return self._solid((0, 0.235, -0.02), (0.66 * self.width, 0.035, 0.72))

    def _solid(self, centre: tuple[float | Tensor, ...], axes: tuple[float | Tensor, ...]) -> Ellipsoid:
        return Ellipsoid(self._vector(centre), self._vector(axes))

    def _vector(self, parts: tuple[float | Tensor, ...]) -> Float[Tensor, "image 3"]:
        return torch.stack([torch.as_tensor(part).float().expand(self.count) for part in parts], 1)


def _lit(
    normal: tuple[Plane, Plane, Plane], light: Float[Tensor, "image 3"], shadow: Plane | None = None
) -> Plane:
    """Brightness of a matt surface: light from all around, more from above, most from where the light is."""
    x, y, z = normal
    sun = _SUN * light
    direct = (x * each(sun[:, 0])).addcmul_(y, each(sun[:, 1])).addcmul_(z, each(sun[:, 2])).clamp_(min=0)
    if shadow is not None:
        direct.addcmul_(direct, shadow, value=-1)
    return direct.add_(y, alpha=_SKY).mul_(_per_length(normal)).add_(_AMBIENT)


def _direction(
    azimuth: Float[Tensor, " image"], elevation: Float[Tensor, " image"]
) -> Float[Tensor, "image 3"]:
    return torch.stack([azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()], 1)


def _per_length(normal: tuple[Plane, Plane, Plane]) -> Plane:
    x, y, z = normal
    return x.square().addcmul_(y, y).addcmul_(z, z).add_(1e-12).rsqrt_()


def _unit(normal: tuple[Plane, Plane, Plane]) -> tuple[Plane, Plane, Plane]:
    scale = _per_length(normal)
    x, y, z = (part * scale for part in normal)
    return x, y, z


def _smooth_union(first: Plane, second: Plane, width: float) -> tuple[Plane, Plane]:
    """How much of the nearer of two depths is the second, and that depth with the crease filled in."""
    share = (second - first).mul_(0.5 / width).add_(0.5).clamp_(0, 1)
    return share, torch.lerp(first, second, share).add_(share * (1 - share), alpha=width)


def _strands(x: Plane, z: Plane) -> Plane:
    return (x.abs().mul_(55)).add_(z, alpha=25).sin_().mul_(0.10).add_(1)
