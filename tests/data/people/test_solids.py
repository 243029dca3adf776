"""Everything against rays that are followed point by point in NumPy."""

from math import cos, pi, sin

import numpy as np
import pytest
import torch

from pellucid.data.people.solids import Ellipsoid, Frame, canvas, see, turned_frame

VIEW = (-1.0, 1.0, -1.0, 1.0)


@pytest.fixture
def frame() -> Frame:
    return turned_frame(torch.tensor([0.6]), torch.tensor([-0.3]), torch.tensor([[0.1, -0.05, 0.2]]))


@pytest.fixture
def solid() -> Ellipsoid:
    return Ellipsoid(torch.tensor([[0.05, 0.2, -0.1]]), torch.tensor([[0.3, 0.5, 0.2]]))


def quadric(frame: Frame, solid: Ellipsoid) -> tuple[np.ndarray, np.ndarray]:
    """The matrix Q and centre c of (w - c)ᵀ Q (w - c) = 1, the ellipsoid in the world."""
    rotation = frame.rotation[0].double().numpy()
    matrix = rotation @ np.diag(solid.axes[0].double().numpy() ** -2.0) @ rotation.T
    centre = frame.origin[0].double().numpy() + rotation @ solid.centre[0].double().numpy()
    return matrix, centre


def nearest_root(matrix: np.ndarray, centre: np.ndarray, x: float, y: float) -> float | None:
    start, along = np.array([x, y, 0.0]) - centre, np.array([0.0, 0.0, 1.0])
    roots = np.roots([along @ matrix @ along, 2 * start @ matrix @ along, start @ matrix @ start - 1])
    return float(roots.real.max()) if abs(roots[0].imag) < 1e-12 else None


def test_a_turned_frame_points_where_azimuth_and_elevation_say() -> None:
    a, e = pi / 6, pi / 9
    rotation = turned_frame(torch.tensor([a]), torch.tensor([e]), torch.zeros(1, 3)).rotation[0]
    assert rotation[:, 2].tolist() == pytest.approx([sin(a) * cos(e), sin(e), cos(a) * cos(e)], abs=1e-6)
    assert torch.allclose(rotation.T @ rotation, torch.eye(3), atol=1e-6)
    assert torch.linalg.det(rotation).item() == pytest.approx(1, abs=1e-6)


def test_depths_are_the_nearer_roots_of_the_quadric(frame: Frame, solid: Ellipsoid) -> None:
    pixels = canvas(32, VIEW)
    seen = see(pixels, frame, solid)
    matrix, centre = quadric(frame, solid)
    hits = 0
    for row in range(32):
        for column in range(32):
            x, y = pixels.x[0, 0, column].item(), pixels.y[0, row, 0].item()
            root = nearest_root(matrix, centre, x, y)
            assert (root is not None) == bool(seen.inside[0, row, column] > 0)
            if root is not None:
                hits += 1
                assert seen.depth[0, row, column].item() == pytest.approx(root, abs=1e-4)
    assert hits > 100


def test_inside_is_the_distance_to_the_outline_in_pixels() -> None:
    """Of a sphere, whose outline is a circle."""
    pixels = canvas(64, VIEW)
    straight = Frame(torch.eye(3)[None], torch.zeros(1, 3))
    seen = see(pixels, straight, Ellipsoid(torch.zeros(1, 3), torch.full((1, 3), 0.5)))
    distance = (0.5 - (pixels.x.square() + pixels.y.square()).sqrt()) / pixels.pixel
    near = distance.abs() < 1
    assert near.sum() > 50
    assert torch.allclose(seen.inside[near], distance[near], atol=0.05)


def test_normals_are_gradients_of_the_quadric(frame: Frame, solid: Ellipsoid) -> None:
    pixels = canvas(32, VIEW)
    seen = see(pixels, frame, solid)
    matrix, centre = quadric(frame, solid)
    normal = torch.stack(solid.normal(*frame.points(pixels, seen.depth)))[:, 0]  # [3 height width]
    for row, column in torch.nonzero(seen.inside[0] > 1)[::15].tolist():
        w = np.array([pixels.x[0, 0, column], pixels.y[0, row, 0], seen.depth[0, row, column]], np.float64)
        gradient = frame.rotation[0].double().numpy().T @ matrix @ (w - centre)
        assert normal[:, row, column].numpy() == pytest.approx(gradient, rel=1e-3, abs=1e-3)


def test_points_of_a_frame_lie_where_the_pixel_and_its_depth_are(frame: Frame) -> None:
    pixels, depth = canvas(32, VIEW), torch.linspace(-1, 1, 32 * 32).reshape(1, 32, 32)
    inner = torch.stack(frame.points(pixels, depth), 3)[0]  # [height width 3]
    world = inner @ frame.rotation[0].T + frame.origin[0]
    expected = torch.stack(torch.broadcast_tensors(pixels.x, pixels.y, depth), 3)[0]
    assert torch.allclose(world, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("point", "shaded"),
    [
        ((0.0, 0.0, -2.0), 1.0),  # right behind the sphere
        ((0.0, 0.0, 2.0), 0.0),  # between it and the light
        ((1.5, 0.0, -2.0), 0.0),  # beside its shadow
        ((0.3, 0.2, -3.0), 1.0),
    ],
)
def test_a_sphere_shades_what_lies_behind_it(point: tuple[float, float, float], shaded: float) -> None:
    sphere = Ellipsoid(torch.zeros(1, 3), torch.ones(1, 3))
    x, y, z = (torch.full((1, 1, 1), value) for value in point)
    found = sphere.shadow(x, y, z, torch.tensor([[0.0, 0.0, 1.0]]), 0.2)
    assert found.item() == pytest.approx(shaded, abs=1e-6)


def test_shadows_equal_rays_followed_to_the_light() -> None:
    """For an ellipsoid and a slanting light, away from the shadow's soft edge."""
    solid = Ellipsoid(torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([[0.2, 0.5, 0.3]]))
    light = torch.tensor([[0.48, 0.6, 0.64]])
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(400, 3, generator=generator)
    axes, centre = solid.axes[0].numpy(), solid.centre[0].numpy()
    compared = 0
    for point in points:
        start, along = (point.numpy() - centre) / axes, light[0].numpy() / axes
        a, b, c = along @ along, start @ along, start @ start - 1
        if c < 0.2:  # inside, or so near that the shadow is only setting in
            continue
        apart = start @ start - b**2 / a
        if abs(1 - apart) < 0.11 or abs(b) / a**0.5 < 0.13:
            continue
        blocked = b**2 - a * c > 0 and b < 0
        x, y, z = (value.reshape(1, 1, 1) for value in point)
        assert solid.shadow(x, y, z, light, 0.1).item() == pytest.approx(float(blocked), abs=1e-5)
        compared += 1
    assert compared > 200


def test_a_window_has_the_pixels_of_the_canvas_in_its_box() -> None:
    pixels = canvas(64, VIEW)
    part, rows, columns = pixels.window((-0.5, 0.25, 0.0, 0.9))
    assert torch.equal(part.x, pixels.x[:, :, columns])
    assert torch.equal(part.y, pixels.y[:, rows])
    inside = (pixels.x[0, 0] >= -0.5) & (pixels.x[0, 0] <= 0.25)
    assert columns == slice(int(inside.nonzero()[0]), int(inside.nonzero()[-1]) + 1)
    assert (part.y.min().item() > 0, part.y.max().item() < 0.9) == (True, True)
