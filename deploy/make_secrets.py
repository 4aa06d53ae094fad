"""Make what the containers may hold: keys split by holder, passwords, the broker's users.

``.venv/bin/python deploy/make_secrets.py [FOLDER]`` (default ``var/secrets``). What is there stays. It writes

* ``FOLDER/<service>/``: the only keys that this service's containers mount;
* ``FOLDER/ring/``: all keys; keep it away from the machine that serves, it is the backup;
* ``FOLDER/bootstrap/``: the gateway puts the first registrar's credentials here;
* ``FOLDER/rabbitmq.json``: deploy/rabbitmq/definitions.json with salted password hashes;
* ``FOLDER/compose.env``: for ``docker compose --env-file``.
"""

import base64
import hashlib
import json
import os
import secrets
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
SERVICES = ("intake", "notifier", "casework", "registry", "gateway")
HOLDERS: dict[str, tuple[str, ...]] = {
    "content.sealing.key": ("intake",),
    "reporter.sealing.key": ("intake",),
    "denial.sealing.key": ("intake",),
    "routing.sealing.key": ("notifier",),
    "assignee.sealing.key": ("casework",),
    "issuer.signing.key": ("gateway",),
    "grant.secret": ("intake", "notifier"),
    "pairwise.secret": ("intake", "notifier"),
    "match.secret": ("intake",),
    "digest.secret": ("intake",),
    "vault.secret": ("notifier",),
    "person.secret": ("casework",),
    **{f"{service}.signing.key": (service,) for service in SERVICES},
}
"""Private halves and secrets by holder. Public halves go to everybody."""

PASSWORDS = (
    "POSTGRES_PASSWORD",
    "VAULT_DB_PASSWORD",
    "OPERATOR_BUS_PASSWORD",
    "TOPOLOGY_BUS_PASSWORD",
    *(f"{service.upper()}_DB_PASSWORD" for service in SERVICES),
    *(f"{service.upper()}_BUS_PASSWORD" for service in SERVICES),
)


def make(folder: Path) -> None:
    """Make or complete the folder.

    Raises:
        KeyError: the key ring knows a key that has no holder here.
    """
    from common.keys import KeyRing  # noqa: PLC0415 - after the path is set below

    owner = (10001, 10001) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    KeyRing.create(folder / "ring")
    for service in SERVICES:
        (folder / service).mkdir(exist_ok=True, mode=0o700)
        os.chown(folder / service, *owner)
    for key in sorted((folder / "ring").iterdir()):
        for service in SERVICES if key.suffix == ".pub" else HOLDERS[key.name]:
            copy = folder / service / key.name
            shutil.copyfile(key, copy)
            copy.chmod(0o400)
            os.chown(copy, *owner)
    (folder / "bootstrap").mkdir(exist_ok=True, mode=0o700)
    os.chown(folder / "bootstrap", *owner)
    _write_environment(folder, owner)


def _write_environment(folder: Path, owner: tuple[int, int]) -> None:
    file = folder / "compose.env"
    known = dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}
    for name in PASSWORDS:
        known.setdefault(name, secrets.token_urlsafe(24))
    known |= {"DABYL_SECRETS": str(folder.resolve()), "DABYL_UID": str(owner[0]), "DABYL_GID": str(owner[1])}
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in known.items()))

    definitions = json.loads((HERE / "rabbitmq" / "definitions.json").read_text())
    for user in definitions["users"]:
        user["hashing_algorithm"] = "rabbit_password_hashing_sha256"
        user["password_hash"] = broker_hash(known[f"{user['name'].upper()}_BUS_PASSWORD"])
    broker = folder / "rabbitmq.json"
    broker.write_text(json.dumps(definitions, indent=1))
    broker.chmod(0o644)  # the broker's own user reads it; the folder around it is closed


def broker_hash(password: str) -> str:
    """RabbitMQ's salted SHA-256."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "libs"))
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "var" / "secrets"
    make(target)
    sys.stdout.write(f"docker compose --env-file {target / 'compose.env'} up --build --detach\n")
