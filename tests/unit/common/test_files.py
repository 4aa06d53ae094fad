"""How many files a process may have open."""

import resource

from common.runtime import allow_files


def test_a_low_limit_is_lifted_and_a_high_one_is_left() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] - 100, before[1]))
        allow_files(before[0] - 10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[0] - 10
        allow_files(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[0] - 10
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
