"""Make what the containers may hold: keys split by holder, passwords, the broker's users.

``.venv/bin/python deploy/make_secrets.py [FOLDER] [--public-url URL]`` (default ``var/secrets``). It may
be run again: what is there stays, what is missing comes. It writes

* ``FOLDER/<service>/``: the only keys that this service's containers mount;
* ``FOLDER/ring/``: all keys; keep it away from the machine that serves, there is no other copy. Bring it
  back before running this again: without it, or with another one, nothing is written;
* ``FOLDER/bootstrap/``: the gateway puts the first registrar's credentials here;
* ``FOLDER/rabbitmq.json``: deploy/rabbitmq/definitions.json with salted password hashes;
* ``FOLDER/compose.env``: for ``docker compose --env-file``; lines that are not ours stay. Keep a copy with
  the ring: PostgreSQL knows the passwords in it, and no others.
"""

import argparse
import base64
import hashlib
import json
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "libs"))

from common.keys import HOLDERS, SERVICES, KeyRing  # noqa: E402 - after the path is set above

PASSWORDS = (
    "POSTGRES_PASSWORD",
    "VAULT_DB_PASSWORD",
    "OPERATOR_BUS_PASSWORD",
    "TOPOLOGY_BUS_PASSWORD",
    *(f"{service.upper()}_DB_PASSWORD" for service in SERVICES),
    *(f"{service.upper()}_BUS_PASSWORD" for service in SERVICES),
)


class Refused(Exception):
    """Nothing was written, for this reason."""


def make(folder: Path, public_url: str | None = None) -> None:
    """Make or complete the folder.

    Raises:
        Refused: the ring beside the copies is not the one that they were made from.
    """
    owner = (10001, 10001) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _compare(folder)
    KeyRing.create(folder / "ring")
    for service in SERVICES:
        _room(folder / service, owner)
        for name, holders in HOLDERS.items():
            copy = folder / service / name
            if service not in holders:
                continue
            if copy.exists():
                _give(copy, 0o400, owner)
            else:
                _place(copy, (folder / "ring" / name).read_bytes(), 0o400, owner)
    _room(folder / "bootstrap", owner)
    _write_environment(folder, owner, public_url)


def _compare(folder: Path) -> None:
    """Refuse when a copy has no original, or another one: new keys would open nothing that is stored."""
    for service in SERVICES:
        for copy in sorted((folder / service).glob("*")) if (folder / service).exists() else ():
            if copy.suffix not in (".key", ".pub", ".secret"):
                continue
            original = folder / "ring" / copy.name
            if not original.exists():
                raise Refused(f"{original} is not there, but {copy} is: bring the ring back")
            if original.read_bytes() != copy.read_bytes():
                raise Refused(f"{original} and {copy} are two different keys: bring the right ring back")


def _room(folder: Path, owner: tuple[int, int]) -> None:
    folder.mkdir(exist_ok=True, mode=0o700)
    _give(folder, 0o700, owner)


def _give(path: Path, mode: int, owner: tuple[int, int]) -> None:
    """Only what is not so yet: another user's file cannot be changed, and need not be."""
    now = path.stat()
    if (now.st_uid, now.st_gid) != owner:
        os.chown(path, *owner)
    if now.st_mode & 0o777 != mode:
        path.chmod(mode)


def _place(file: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Written aside and renamed: whoever reads sees the whole file, and a closed one can be replaced."""
    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchmod(descriptor, mode)
        if owner is not None:
            os.fchown(descriptor, *owner)
        stream.flush()
        os.fsync(descriptor)
    aside.replace(file)


def _write_environment(folder: Path, owner: tuple[int, int], public_url: str | None) -> None:
    file = folder / "compose.env"
    lines = file.read_text().splitlines() if file.exists() else []
    known = {name: value for name, value in map(_set_by, lines) if name and value}
    wanted = {name: secrets.token_urlsafe(24) for name in PASSWORDS if name not in known}
    wanted |= {"DABYL_SECRETS": str(folder.resolve()), "DABYL_UID": str(owner[0]), "DABYL_GID": str(owner[1])}
    if public_url is not None:
        wanted["DABYL_PUBLIC_URL"] = public_url
    known |= wanted
    kept = [f"{name}={wanted.pop(name)}" if (name := _set_by(line)[0]) in wanted else line for line in lines]
    added = [f"{name}={value}" for name, value in wanted.items()]
    _place(file, "".join(f"{line}\n" for line in kept + added).encode(), 0o600)

    definitions = json.loads((HERE / "rabbitmq" / "definitions.json").read_text())
    for user in definitions["users"]:
        user["hashing_algorithm"] = "rabbit_password_hashing_sha256"
        user["password_hash"] = broker_hash(known[f"{user['name'].upper()}_BUS_PASSWORD"])
    # The broker's own user reads it; the folder around it is closed.
    _place(folder / "rabbitmq.json", json.dumps(definitions, indent=1).encode(), 0o644)


def _set_by(line: str) -> tuple[str, str]:
    """Name and value; nothing for a comment or a blank line."""
    name, is_set, value = line.partition("=")
    return ("", "") if not is_set or name.lstrip().startswith("#") else (name.strip(), value.strip())


def broker_hash(password: str) -> str:
    """RabbitMQ's salted SHA-256."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def address(text: str) -> str:
    """A public address: scheme and host, perhaps a port."""
    found = urlsplit(text)
    plain = found.scheme in ("http", "https") and found.hostname and not found.username
    if not plain or found.path.strip("/") or found.query or found.fragment:
        raise argparse.ArgumentTypeError("https://host or https://host:port, please")
    return text.rstrip("/")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Make or complete what the containers may hold.")
    parser.add_argument("folder", type=Path, nargs="?", default=HERE.parent / "var" / "secrets")
    parser.add_argument("--public-url", type=address, help="where agencies and browsers find the gateway")
    chosen = parser.parse_args()
    try:
        make(chosen.folder, chosen.public_url)
    except Refused as why:
        sys.exit(f"make secrets: {why}. Nothing was changed.")
    except PermissionError as error:
        sys.exit(f"make secrets: {error.filename}: not yours. Run it as the user who ran it first.")
    environment = chosen.folder / "compose.env"
    if "\nDABYL_PUBLIC_URL=" not in f"\n{environment.read_text()}":
        sys.stdout.write("first say where agencies and browsers find it: make secrets PUBLIC_URL=https://…\n")
    sys.stdout.write(f"docker compose --env-file {environment} up --build --detach\n")


if __name__ == "__main__":
    _main()
