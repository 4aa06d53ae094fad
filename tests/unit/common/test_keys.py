"""The key ring: a file a key, for its owner only, made once."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.keys import HOLDERS, SEALING, SECRETS, SERVICES, SIGNING, KeyMissing, KeyRing

LIBS = str(Path(__file__).parents[3] / "libs")


def raw(key: object) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)  # type: ignore[attr-defined,no-any-return]  # both kinds of public key have it


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_private_files_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    KeyRing.create(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        expected = 0o644 if file.suffix == ".pub" else 0o600
        assert stat.S_IMODE(file.stat().st_mode) == expected, file.name
    assert len(contents(folder)) == 2 * len(SIGNING) + 2 * len(SEALING) + len(SECRETS)


def test_creating_again_changes_nothing_and_adds_what_is_missing(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "match.secret").unlink()
    (tmp_path / "intake.signing.pub").unlink()
    KeyRing.create(tmp_path)
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == {"match.secret"}


def test_processes_that_create_at_once_end_with_one_ring(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from common.keys import KeyRing;"
        "KeyRing.create(Path(sys.argv[1]))"
    )
    folder = tmp_path / "keys"
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], env={"PYTHONPATH": LIBS})
        for _ in range(4)
    ]
    assert [run.wait(30) for run in runs] == [0] * 4
    ring = KeyRing(folder)
    for name in SIGNING:
        assert raw(ring.signing(name).public_key()) == raw(ring.verifying(name))
    for name in SEALING:
        assert raw(ring.opening(name).public_key()) == raw(ring.sealing_public(name))
    assert not [file for file in folder.iterdir() if file.suffix not in (".key", ".pub", ".secret")]


def test_a_key_that_this_process_was_not_given_is_missing(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    for file in ("content.sealing.key", "grant.secret", "gateway.signing.key", "intake.signing.pub"):
        (tmp_path / file).unlink()
    ring = KeyRing(tmp_path)
    for ask in (
        lambda: ring.opening("content"),
        lambda: ring.secret("grant"),
        lambda: ring.signing("gateway"),
        lambda: ring.verifying("intake"),
        lambda: ring.secret("no such"),
    ):
        with pytest.raises(KeyMissing):
            ask()
    ring.sealing_public("content")  # sealing needs the public half only


def test_a_key_of_another_kind_or_length_is_not_taken(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    (tmp_path / "gateway.signing.key").write_bytes((tmp_path / "content.sealing.key").read_bytes())
    (tmp_path / "grant.secret").write_bytes(b"c2hvcnQ=")
    ring = KeyRing(tmp_path)
    with pytest.raises(KeyMissing):
        ring.signing("gateway")
    with pytest.raises(KeyMissing):
        ring.secret("grant")


def test_every_key_of_a_ring_has_its_holders(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    assert set(contents(tmp_path)) == set(HOLDERS)


@pytest.mark.parametrize("service", SERVICES)
def test_a_holder_misses_each_of_its_keys_and_nobody_else_s(tmp_path: Path, service: str) -> None:
    KeyRing.create(tmp_path)
    for name, holders in HOLDERS.items():
        before = (tmp_path / name).read_bytes()
        for broken in (None, b"", b"not a key\n"):
            (tmp_path / name).unlink() if broken is None else (tmp_path / name).write_bytes(broken)
            assert KeyRing(tmp_path).list_missing(service) == ([name] if service in holders else []), name
        (tmp_path / name).write_bytes(before)
    assert KeyRing(tmp_path).list_missing(service) == []
