"""Labels stand near their dots and clear of one another, wherever that is possible."""

import numpy as np
import pytest

from pellucid.report.label_places import label_places, overlaps

FRAME = (0.0, 0.0, 1000.0, 500.0)
SIZE = (120.0, 40.0)


def box(place: object) -> np.ndarray:
    left, top = place.left, place.top  # type: ignore[attr-defined]
    return np.array([[left, top, left + SIZE[0], top + SIZE[1]]])


def test_areas_in_common() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    others = np.array([[5.0, 5, 15, 8], [0, 0, 100, 100], [10, 0, 20, 10]])
    np.testing.assert_array_equal(overlaps(boxes, others), [[15, 100, 0], [0, 100, 0]])


def test_a_lone_label_is_above_right_of_its_dot_without_a_line() -> None:
    (place,) = label_places([np.array([[500.0, 250]])], [SIZE], FRAME, reach=10)
    assert place.left == 510
    assert place.top + SIZE[1] < 260
    assert place.line is None


@pytest.mark.parametrize(("x", "y"), [(990, 250), (5, 5), (995, 495), (500, 2)])
def test_labels_stay_in_the_frame(x: float, y: float) -> None:
    (place,) = label_places([np.array([[x, y]], float)], [SIZE], FRAME, reach=10)
    assert overlaps(box(place), np.array([FRAME]))[0, 0] == pytest.approx(SIZE[0] * SIZE[1])


def test_crowded_labels_cover_neither_labels_nor_dots_and_say_by_a_line_whose_they_are() -> None:
    groups = [np.array([[500.0 + 9 * i, 250 - 4 * i], [503 + 9 * i, 246 - 4 * i]]) for i in range(6)]
    places = label_places(groups, [SIZE] * 6, FRAME, reach=10)
    boxes = np.concatenate([box(place) for place in places])
    common = overlaps(boxes, boxes)
    assert (common - np.diag(np.diag(common)) == 0).all()
    dots = np.concatenate(groups)
    assert (overlaps(boxes, np.concatenate([dots - 10, dots + 10], axis=1)) == 0).all()
    lines = [(place.line, group) for place, group in zip(places, groups, strict=True) if place.line]
    assert lines
    for line, group in lines:
        assert np.hypot(*(group - np.array(line[0])).T).min() == pytest.approx(10)  # it starts at its own dot
