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


def test_one_host_is_one_source_however_many_addresses_it_makes_up() -> None:
    sources = Sources(["10.0.0.0/8"])
    first = sources.token("2001:db8:1:2::1")
    assert sources.token("2001:db8:1:2:ffff:1:2:3") == first != sources.token("2001:db8:1:3::1")
    assert sources.token("10.0.0.1", ["2001:DB8:1:2::9"]) == first
    assert sources.token("fe80::1%eth0") == sources.token("fe80::2%eth1")


def test_an_address_is_the_same_in_other_clothes() -> None:
    sources = Sources(["10.0.0.0/8"])
    plain = sources.token("203.0.113.7")
    for front in ("10.0.0.1", "::ffff:10.0.0.1"):
        for told in ("203.0.113.7", "203.0.113.7:50123", "::ffff:203.0.113.7", "[::ffff:203.0.113.7]:50123"):
            assert sources.token(front, [told]) == plain, (front, told)
    assert sources.token("10.0.0.1", ["[2001:db8::1]:443"]) == sources.token("2001:db8::7")


def test_what_is_no_address_is_one_source() -> None:
    sources = Sources(["10.0.0.0/8"])
    nobody = sources.token("")
    for told in ("unknown", "_x1", "_x2", "[", "[x]:1", "1.2.3:4", "203.0.113.7/8", "\x00", "9" * 5000):
        assert sources.token("10.0.0.1", [told]) == nobody, told[:20]
