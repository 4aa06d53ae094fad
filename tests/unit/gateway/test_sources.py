"""Sources of public reports: told apart, never known."""

from gateway.service.sources import Sources


def test_one_address_is_one_token_and_no_address() -> None:
    sources = Sources()
    assert sources.token("203.0.113.7") == sources.token("203.0.113.7") != sources.token("203.0.113.8")
    assert "203" not in bytes.fromhex(sources.token("203.0.113.7")).decode("latin-1")
    assert Sources().token("203.0.113.7") != sources.token("203.0.113.7")


def test_nobody_writes_their_own_source() -> None:
    sources = Sources()
    assert sources.token("203.0.113.7", ["198.51.100.1"]) == sources.token("203.0.113.7")


def test_behind_a_front_of_ours_the_nearest_stranger_counts() -> None:
    sources = Sources(["10.0.0.0/8", "fd00::/8"])
    seen = sources.token("10.1.1.1", ["198.51.100.1, 203.0.113.7, 10.2.2.2"])
    assert seen == sources.token("203.0.113.7")
    assert seen == sources.token("10.1.1.1", ["198.51.100.1", "203.0.113.7"])
    assert sources.token("10.1.1.1", ["not an address"]) == sources.token("not an address")
