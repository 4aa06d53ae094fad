"""A RabbitMQ node of our own: own name, ports, cookie, folder, loopback only; never the system's service."""

import json
import os
import secrets
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.parts.process import (
    PartFailed,
    Running,
    free_ports,
    listening,
    own_folder,
    spawn,
    tail,
    unprivileged,
    wait_until,
)

START_SECONDS = 120.0
TICK_SECONDS = 8
"""A node that is silent for so long is gone to the others; the default is a minute."""
_IN_CLUSTER = ("cluster_partition_handling = pause_minority",)
SERVER = Path(
    "/usr/lib/rabbitmq/bin/rabbitmq-server"
)  # not /usr/sbin: that wrapper changes the user by itself


class Rabbit:
    """One private node. Durable queues outlive ``kill`` and ``restart``."""

    def __init__(self, folder: Path, *, joins: "Rabbit | None" = None, in_cluster: bool = False) -> None:
        """``folder``: its own; must be passable for an unprivileged user when we are root.

        Args:
            joins: a node that is up when this one starts for the first time; the two are one cluster then.
            in_cluster: others will join this one.
        """
        self.folder = folder
        self._joins = joins
        self._in_cluster = in_cluster or joins is not None
        self.log = folder / "rabbit.log"
        self._facts = folder / "facts.json"
        self.running: Running | None = None
        self._mapper: Running | None = None
        if self._facts.exists():
            facts = json.loads(self._facts.read_text())
        else:
            amqp, api, distribution, mapper = free_ports(4)
            facts = {
                "amqp": amqp, "api": api, "distribution": distribution, "mapper": mapper,
                "password": secrets.token_hex(16), "cookie": secrets.token_hex(16),
            }  # fmt: skip
            if joins is not None:
                facts |= {name: joins._known[name] for name in ("mapper", "password", "cookie")}
        self._known: dict[str, Any] = facts

    @property
    def port(self) -> int:
        return int(self._known["amqp"])

    @property
    def node(self) -> str:
        """Name among the nodes of a cluster."""
        return f"dabyl{self._known['amqp']}@localhost"

    @property
    def url(self) -> str:
        """AMQP URL of the default virtual host."""
        return f"amqp://dabyl:{self._known['password']}@127.0.0.1:{self.port}/"

    @property
    def api(self) -> str:
        """Base URL of the management interface; same credentials."""
        return f"http://127.0.0.1:{self._known['api']}"

    def start(self) -> "Rabbit":
        """Start the node and return when it takes connections."""
        if not available():
            raise PartFailed("no RabbitMQ: `apt-get install rabbitmq-server`")
        user = unprivileged("rabbitmq")
        own_folder(self.folder, user)
        for name in ("mnesia", "log"):
            own_folder(self.folder / name, user)
        files = {
            self._facts: json.dumps(self._known),
            self.folder / ".erlang.cookie": self._known["cookie"],
            self.folder / "rabbitmq.conf": self._configuration(),
            self.folder / "enabled_plugins": "[rabbitmq_management].",
        }
        for path, text in files.items():
            path.unlink(missing_ok=True)
            path.write_text(text)
            path.chmod(0o400)
            if user:
                os.chown(path, user.uid, user.gid)
        env = self._environment()
        if self._joins is None and not (self._mapper and self._mapper.alive()):
            # Our own child, so that it can be ended by pid; the node would leave a daemon behind.
            self._mapper = spawn(
                [shutil.which("epmd") or "epmd", "-port", env["ERL_EPMD_PORT"], "-address", "127.0.0.1"],
                log=self.folder / "epmd.log",
                env=env,
                cwd=self.folder,
                user=user,
            )
            wait_until(
                lambda: listening(int(env["ERL_EPMD_PORT"])),
                within=10,
                or_else=lambda: f"epmd did not start: {tail(self.folder / 'epmd.log')}",
            )
        self.running = spawn([SERVER], log=self.log, env=env, cwd=self.folder, user=user)
        wait_until(
            self._ready_or_gone, within=START_SECONDS, or_else=lambda: self._report("not ready in time")
        )
        if not self.running.alive():
            raise PartFailed(self._report("ended while starting"))
        return self

    def kill(self) -> None:
        """``kill -9`` of the node."""
        if self.running:
            self.running.kill()

    def stop(self) -> None:
        """End the node and its port mapper. Not orderly: nothing of a private node is kept."""
        self.kill()
        if self._mapper:
            self._mapper.kill()

    def restart(self) -> None:
        """``kill -9`` and start again on the same port and data."""
        self.kill()
        self.start()

    def ctl(self, *words: str) -> None:
        """``rabbitmqctl`` on this node. Raises ``PartFailed``."""
        user = unprivileged("rabbitmq")
        done = subprocess.run(
            [SERVER.with_name("rabbitmqctl"), *words],
            env=self._environment(),
            cwd=self.folder,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PartFailed(f"rabbitmqctl {' '.join(words)}: {done.stdout}{done.stderr}")

    def shun(self, other: "Rabbit", *, is_lasting: bool) -> None:
        """Take nothing from another node of the cluster any more, or let it in again.

        With another cookie neither of the two can connect to the other: a wire that is cut between them,
        while the clients of both keep theirs. No firewall is needed.
        """
        cookie = "elsewhere" if is_lasting else self._known["cookie"]
        cut = f", erlang:disconnect_node('{other.node}')" if is_lasting else ""
        self.ctl("eval", f"erlang:set_cookie('{other.node}', '{cookie}'){cut}.")

    def processes(self) -> list[Running]:
        return [one for one in (self.running, self._mapper) if one]

    def _configuration(self) -> str:
        facts = self._known
        return "\n".join(
            (
                f"listeners.tcp.1 = 127.0.0.1:{facts['amqp']}",
                "management.tcp.ip = 127.0.0.1",
                f"management.tcp.port = {facts['api']}",
                "management_agent.disable_metrics_collector = true",
                "default_user = dabyl",
                f"default_pass = {facts['password']}",
                "disk_free_limit.absolute = 50MB",
                "log.console.level = warning",
                "log.file = false",
                "log.console = true",
                *(_IN_CLUSTER if self._in_cluster else ()),
                *(
                    (
                        "cluster_formation.peer_discovery_backend = classic_config",
                        f"cluster_formation.classic_config.nodes.1 = {self._joins.node}",
                        "cluster_formation.randomized_startup_delay_range.min = 0",
                        "cluster_formation.randomized_startup_delay_range.max = 1",
                    )
                    if self._joins
                    else ()
                ),
                "",
            )
        )

    def _environment(self) -> dict[str, str]:
        facts = self._known
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.folder),
            "RABBITMQ_ALLOW_INPUT": "1",  # exec the node in place of the script: one pid to kill
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_DIST_PORT": str(facts["distribution"]),
            "ERL_EPMD_PORT": str(facts["mapper"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_SECONDS": "0",
            # Loopback for node-to-node traffic; no busy waiting on a small shared machine.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-noinput -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
                f"{f' -kernel net_ticktime {TICK_SECONDS}' if self._in_cluster else ''}"
            ),
        }

    def _ready_or_gone(self) -> bool:
        if not self.running or not self.running.alive():
            return True
        return listening(self.port) and listening(int(self._known["api"]))

    def _report(self, what: str) -> str:
        return f"private RabbitMQ {what}; its log ends:\n{tail(self.log)}"


def available() -> bool:
    """Whether a node can be started without installing a package."""
    return SERVER.exists() and shutil.which("epmd") is not None


class VirtualHosts:
    """Virtual hosts over the management interface: each test gets a broker that looks empty."""

    def __init__(self, url: str, api: str) -> None:
        parts = urlsplit(url)
        self._address = f"{parts.hostname}:{parts.port or 5672}"
        self._user, self._password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
        self._api = api.rstrip("/")

    def create(self, name: str) -> str:
        """A new virtual host, full rights for this user; its AMQP URL."""
        self._call("PUT", f"/api/vhosts/{quote(name, safe='')}")
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        self._call("PUT", f"/api/permissions/{quote(name, safe='')}/{quote(self._user, safe='')}", rights)
        secret = f"{quote(self._user, safe='')}:{quote(self._password, safe='')}"
        return f"amqp://{secret}@{self._address}/{quote(name, safe='')}"

    def delete(self, name: str) -> None:
        self._call("DELETE", f"/api/vhosts/{quote(name, safe='')}")

    def nodes(self) -> list[dict[str, Any]]:
        """The cluster's nodes as this one sees them."""
        return list(self._call("GET", "/api/nodes"))

    def version(self) -> str:
        return str(self._call("GET", "/api/overview")["rabbitmq_version"])

    def _call(self, method: str, path: str, body: object = None) -> Any:
        token = b64encode(f"{self._user}:{self._password}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - the address is ours or the developer's own
            self._api + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - see above
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise PartFailed(
                f"RabbitMQ's management interface refused {method} {path}: {error.code}"
            ) from error
        except OSError as error:
            raise PartFailed(
                f"RabbitMQ's management interface does not answer at {self._api}: each test takes"
                " a virtual host there. Enable rabbitmq_management, or set DABYL_TEST_RABBITMQ_API."
            ) from error
        return json.loads(text) if text else None
