"""The short form of the faults on real processes: scaled time, one house. `make faults` plays all of them."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS, SHORT
from tests.faults.scene import Scene, scene_in
from tests.faults.stories import play

pytestmark = [
    pytest.mark.kill,
    pytest.mark.real,
    pytest.mark.xdist_group("spread"),
    pytest.mark.timeout(900),
]
SHORTLY = [one for one in FAULTS if any(name in one.name for name in SHORT)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene_in(tmp_path_factory.mktemp("faults"), is_full=False) as scene:
        yield scene


@pytest.mark.parametrize("name", [one.name for one in SHORTLY])
def test_it_is_survived(scene: Scene, name: str, record_property: Callable[[str, object], None]) -> None:
    [fault] = [one for one in SHORTLY if one.name == name]
    story = play(scene, fault)
    record_property("fault", str(story))
    sys.stdout.write(f"{story}\n")  # shown by `pytest -rP`
    assert story.good, str(story)


def test_every_short_fault_is_in_the_catalogue() -> None:
    assert len(SHORTLY) == len(SHORT)
    assert len({one.name for one in FAULTS}) == len(FAULTS)
    assert Path(__file__).parent.joinpath("meddling", "sitecustomize.py").exists()
