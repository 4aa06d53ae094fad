"""How far a migration goes: what old processes do not bear waits until it is asked for."""

import pytest

from common.migrating import target_of

NAMES = [
    "0001_pre_initial",
    "0002_pre_column",
    "0003_post_column",
    "0004_pre_more",
    "0005_post_a",
    "0006_post_b",
]


@pytest.mark.parametrize(
    ("head", "is_whole", "target"),
    [
        (None, False, "0006_post_b"),  # nobody uses an empty database yet
        ("0001_pre_initial", False, "0004_pre_more"),
        ("0001_pre_initial", True, "0006_post_b"),
        ("0004_pre_more", False, None),
        ("0004_pre_more", True, "0006_post_b"),
        ("0005_post_a", False, None),
        ("0006_post_b", True, None),
    ],
)
def test_post_migrations_at_the_end_wait(head: str | None, is_whole: bool, target: str | None) -> None:
    assert target_of(NAMES, head, is_whole=is_whole) == target
