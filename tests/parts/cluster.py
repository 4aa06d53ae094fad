"""Three RabbitMQ nodes of one cluster on this machine: own names, ports, cookie, folders; loopback only."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.parts.process import standing_still, wait_until
from tests.parts.rabbit import Rabbit, VirtualHosts

NODES = 3
TOGETHER_SECONDS = 60.0


class Cluster:
    """Killed, suspended and brought back node by node. Its first node keeps the port mapper of all."""

    def __init__(self, folder: Path) -> None:
        first = Rabbit(folder / "node-1", in_cluster=True)
        others = [Rabbit(folder / f"node-{number}", joins=first) for number in range(2, NODES + 1)]
        self.nodes = [first, *others]

    def start(self) -> "Cluster":
        """Start all; returns when each of them sees the others."""
        self.nodes[0].start()
        try:
            with ThreadPoolExecutor(NODES) as pool:
                list(pool.map(Rabbit.start, self.nodes[1:]))
            self.wait_together()
        except BaseException:
            self.stop()
            raise
        return self

    def create(self, name: str) -> str:
        """A new virtual host; its addresses on all nodes, as a service's setting takes them."""
        VirtualHosts(self.nodes[0].url, self.nodes[0].api).create(name)
        return ",".join(f"{node.url.rstrip('/')}/{name}" for node in self.nodes)

    def running(self) -> set[str]:
        """Names of the nodes that the first one that answers sees running."""
        for node in self.nodes:
            with suppress(Exception):
                seen = VirtualHosts(node.url, node.api).nodes()
                return {str(one["name"]) for one in seen if one["running"]}
        return set()

    def wait_together(self) -> None:
        """Until every node sees all.

        Raises:
            PartFailed: it did not come to that.
        """
        wanted = {node.node for node in self.nodes}

        def together() -> bool:
            time.sleep(0.3)
            for node in self.nodes:
                try:
                    seen = VirtualHosts(node.url, node.api).nodes()
                except Exception:  # noqa: BLE001  # it is only starting: ask again
                    return False
                if {str(one["name"]) for one in seen if one["running"]} != wanted:
                    return False
            return True

        wait_until(together, within=TOGETHER_SECONDS, or_else=lambda: f"no cluster: {self.running()}")

    @contextmanager
    def suspended(self, number: int) -> Iterator[None]:
        """A node stands still: to the others it is cut off, and to its clients as well."""
        running = self.nodes[number].running
        assert running is not None
        with standing_still(running.pid):
            yield

    @contextmanager
    def parted(self, number: int) -> Iterator[None]:
        """A partition: the others and this node hear nothing of each other; clients reach them all."""
        alone = self.nodes[number]
        others = [node for node in self.nodes if node is not alone]
        for other in others:
            alone.shun(other, is_lasting=True)
        try:
            yield
        finally:
            for other in others:
                alone.shun(other, is_lasting=False)

    def stop(self) -> None:
        """End all nodes, then the mapper."""
        for node in reversed(self.nodes):
            with suppress(Exception):
                node.stop()
