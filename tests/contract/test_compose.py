"""docker-compose.yml, checked as far as it can be without an engine: form, limits, secrets, rights."""

import json
import re
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.bus.topology import Exchange, event_queue, fixed_queues, lane_queue
from common.contracts import REGISTRY
from tests.parts import engine
from tests.parts.compose import SERVICES, read_compose, resolved, substituted
from tests.parts.process import PartFailed

ROOT = Path(__file__).parents[2]
COMPOSE = read_compose()
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in CONTAINERS.items() if one["image"].startswith("dabyl/")}
PARTS = {name: one for name, one in CONTAINERS.items() if name not in OURS}

TOPOLOGY = {"topology-apply", "topology-keep"}

# From the Compose Specification: what may stand where. A misspelt key is ignored silently by nobody but us.
TOP = {"name", "services", "networks", "volumes", "secrets", "configs"}
SERVICE = {
    "image", "build", "command", "environment", "volumes", "networks", "depends_on", "healthcheck", "deploy",
    "user", "read_only", "tmpfs", "cap_drop", "security_opt", "init", "restart", "stop_grace_period", "ports",
    "hostname", "shm_size", "profiles",
}  # fmt: skip
HEALTH = {"test", "interval", "timeout", "retries", "start_period", "disable"}


def test_only_keys_of_the_compose_specification_are_used() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} <= TOP
    for name, one in CONTAINERS.items():
        assert set(one) <= SERVICE, name
        assert set(one.get("healthcheck", {})) <= HEALTH, name
        assert set(one.get("deploy", {})) <= {"resources", "replicas"}, name
        assert set(one.get("build", {})) <= {"context", "dockerfile", "args"}, name
        for needed in one.get("depends_on", {}).values():
            assert needed["condition"] in {
                "service_healthy",
                "service_completed_successfully",
                "service_started",
            }


def test_every_name_that_is_used_is_defined() -> None:
    for name, one in CONTAINERS.items():
        assert set(one["networks"]) <= set(COMPOSE["networks"]), name
        assert set(one.get("depends_on", {})) <= set(CONTAINERS), name
        for mount in one.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), f"{name}: {source}"
            elif not source.startswith("${"):
                assert source in COMPOSE["volumes"], f"{name}: {source}"


def test_every_service_has_an_api_a_worker_and_a_migration() -> None:
    roles = {(one["command"][2], one["command"][3]) for name, one in OURS.items() if name not in TOPOLOGY}
    assert roles == {(service, role) for service in SERVICES for role in ("api", "worker", "migrate")}
    for name, one in OURS.items():
        if name in TOPOLOGY:
            continue
        service, role = one["command"][2:]
        assert one["command"][:2] == ["python", "-m"], name
        assert name == (service if role == "api" else f"{service}-{role}")
        assert one["build"]["args"]["SERVICE"] == service, name
        if role == "migrate":
            assert one["restart"] == "on-failure", name
            assert one["depends_on"] == {"postgres": {"condition": "service_healthy"}}, name
        else:
            assert one["depends_on"] == {
                f"{service}-migrate": {"condition": "service_completed_successfully"}
            }
            assert one["restart"] == "unless-stopped", name


def test_the_brokers_shape_is_made_by_two_containers_alone_and_nobody_waits_for_it() -> None:
    for name in TOPOLOGY:
        one = OURS[name]
        assert one["command"] == ["python", "-m", "notifier", *name.split("-")]  # it knows the endpoints
        assert one["environment"]["NOTIFIER_BUS_URL"].startswith("amqp://topology:")
        assert "notifier-migrate" in one["depends_on"]
    assert OURS["topology-apply"]["restart"] == "on-failure"
    assert OURS["topology-apply"]["depends_on"]["rabbitmq"] == {"condition": "service_healthy"}
    assert OURS["topology-keep"]["restart"] == "unless-stopped"
    for name, one in OURS.items():
        assert not TOPOLOGY & set(one["depends_on"]), name
        assert not any(key.endswith("_BUS_DECLARES") for key in one["environment"]), name
        if name not in TOPOLOGY:
            assert "//topology:" not in str(one["environment"]), name


@pytest.mark.parametrize("name", OURS)
def test_our_containers_are_small_and_closed(name: str) -> None:
    one = OURS[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in one["security_opt"]
    assert one["user"].startswith("${DABYL_UID:?")
    assert one["init"] is True
    assert ("ports" in one) == (name == "gateway")
    published = set(one["networks"]) - {"inside"}
    assert published == {"gateway": {"edge"}, "notifier": {"outside"}, "notifier-worker": {"outside"}}.get(
        name, set()
    )


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_has_limits_a_pinned_image_and_a_health_check(name: str) -> None:
    one = CONTAINERS[name]
    limits = one["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)
    image = substituted(one["image"], {})
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z-]+)?$", image), image
    if name not in {"collector", "jaeger"}:  # images without a shell
        assert one.get("healthcheck"), name


def test_the_tests_use_the_same_parts() -> None:
    assert PARTS["postgres"]["image"] == engine.POSTGRES_IMAGE
    assert PARTS["rabbitmq"]["image"] == engine.RABBIT_IMAGE
    assert PARTS["postgres"]["image"].startswith("postgres:17.")
    assert PARTS["rabbitmq"]["image"].startswith("rabbitmq:4.")


def test_our_images_carry_the_version_of_the_distribution() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {substituted(one["image"], {}).split(":")[1] for one in OURS.values()} == {version}


def test_no_password_is_in_the_file_and_every_one_is_asked_for() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"PASSWORD[A-Z_]*: +\"?[^\"$\s]", text)
    assert not re.search(r"://\w+:(?!\$\{)[^@/\s]+@", text)
    for name in re.findall(r"\$\{(\w*PASSWORD\w*)", text):
        assert not re.search(rf"\$\{{{name}(?::-|\}})", text), f"{name} must be required"
    with pytest.raises(PartFailed, match="make secrets"):
        substituted("${INTAKE_DB_PASSWORD:?run make secrets}", {})


@pytest.mark.parametrize("name", OURS)
def test_a_container_mounts_the_keys_of_its_own_service_only(name: str) -> None:
    service = OURS[name]["command"][2]
    allowed = {f"${{DABYL_SECRETS:?run make secrets}}/{service}:/run/keys:ro"}
    if name == "gateway-migrate":  # writes the first registrar's credentials there
        allowed.add("${DABYL_SECRETS:?run make secrets}/bootstrap:/run/bootstrap")
    assert set(OURS[name]["volumes"]) == allowed
    assert all(key.startswith(service.upper() + "_") for key in OURS[name]["environment"])
    assert f"//{service}:" in OURS[name]["environment"][f"{service.upper()}_DATABASE_URL"]


@pytest.mark.parametrize("name", OURS)
def test_a_container_sets_what_its_service_reads_and_leaves_no_placeholder(name: str) -> None:
    service = OURS[name]["command"][2]
    fields = import_module(f"{service}.settings").Settings.model_fields
    given = {key.removeprefix(f"{service.upper()}_").lower() for key in OURS[name]["environment"]}
    assert given <= set(fields), "a variable that nobody reads"
    needed = {"database_url", "bus_url", "keys_dir", "host", "otlp_endpoint", "public_url"} & set(fields)
    assert needed <= given


GIVEN = {"database_url", "bus_url", "bus_api", "keys_dir", "otlp_endpoint", "host", "port", "public_url"}
GIVEN |= {"bootstrap_file", "traces_url", "traces_kind", *(f"{service}_url" for service in SERVICES)}
"""What the file decides by itself: where things are."""
NEVER = {"bus_declares", "allow_loopback"}
"""Where one user may do everything, and for simulated agencies: not here."""


@pytest.mark.parametrize("name", sorted(set(OURS) - TOPOLOGY))
def test_every_setting_of_a_service_can_be_set_in_compose_env(name: str) -> None:
    service = OURS[name]["command"][2]
    fields = set(import_module(f"{service}.settings").Settings.model_fields) - GIVEN - NEVER
    assert "log_level" in fields
    for key in (f"{service}_{field}".upper() for field in fields):
        assert reaching(name, key), key


def test_every_setting_that_a_page_names_reaches_its_service_and_no_other() -> None:
    pages = [
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs" / "how-to").glob("*.md"),
        ROOT / "dabyl" / "onboarding.py",
    ]
    said = {
        (service, key)
        for page in pages
        for key, service in re.findall(
            r"\b((" + "|".join(map(str.upper, SERVICES)) + r")_[A-Z_]+[A-Z])\b", page.read_text()
        )
        if key.removeprefix(f"{service}_").lower() not in {*GIVEN, *NEVER} and "_X_" not in key
    }
    assert {key for _, key in said} >= {
        "NOTIFIER_VOICE_URL",
        "NOTIFIER_ACKNOWLEDGE_URGENT",
        "GATEWAY_INBOX_WAITS",
    }
    for service, key in said:
        for name in set(OURS) - TOPOLOGY:
            assert reaching(name, key) == (OURS[name]["command"][2] == service.lower()), f"{name}: {key}"


def test_the_override_of_the_how_to_fits_the_file() -> None:
    page = (ROOT / "docs" / "how-to" / "run-with-docker.md").read_text()
    [block] = re.findall(r"```yaml\n(services:.+?)```", page, re.DOTALL)
    more: dict[str, Any] = yaml.safe_load(block)["services"]
    assert set(more) == {"notifier", "notifier-worker"}  # both look for channels
    for name, one in more.items():
        assert set(one) == {"volumes", "environment"}
        assert all(re.match(r"NOTIFIER_X_[A-Z]+_[A-Z]+$", key) for key in one["environment"])
        inside = [mount.split(":")[1] for mount in one["volumes"]]
        assert not {mount.split(":")[1] for mount in OURS[name]["volumes"]} & set(inside)
    pointed = re.findall(r"# (NOTIFIER_\w+)=(/\S+)", block)
    assert len(pointed) == len(inside)
    for (key, path), folder in zip(pointed, inside, strict=True):
        assert reaching("notifier-worker", key)
        assert path.startswith(folder)


def reaching(name: str, key: str) -> bool:
    """Whether the container is given what compose.env says of this setting."""
    needed = dict.fromkeys(re.findall(r"\$\{(\w+):\?", str(OURS[name]["environment"])), "needed")
    unset = resolved(OURS[name]["environment"], needed).get(key)
    return unset != "said" and resolved(OURS[name]["environment"], {**needed, key: "said"}).get(key) == "said"


def test_only_the_gateway_is_reached_from_outside_this_machine() -> None:
    for name, one in CONTAINERS.items():
        for port in one.get("ports", ()):
            assert substituted(port, {}).startswith("127.0.0.1:"), name
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_the_address_in_notices_is_said_by_a_person() -> None:
    given = [
        (name, key)
        for name, one in OURS.items()
        for key, value in one["environment"].items()
        if key.endswith("_PUBLIC_URL") and not re.match(r"^\$\{DABYL_PUBLIC_URL:\?.+\}$", value)
    ]
    assert given == []


def test_nothing_is_mailed_unless_a_relay_is_named() -> None:
    for name in ("notifier", "notifier-worker"):
        assert substituted(OURS[name]["environment"]["NOTIFIER_SMTP_HOST"], {}) == "", name
    catchers = {name for name in PARTS if "profiles" in PARTS[name]}
    assert catchers == {
        "mailpit",
        "prometheus",
    }  # not started unless asked for: what mailpit takes reaches nobody
    assert all("profiles" not in one for one in OURS.values())


@pytest.fixture(scope="module")
def rights() -> dict[str, Any]:
    return dict(json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text()))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_publish_its_own_events_and_no_others(service: str, rights: dict[str, Any]) -> None:
    [topics] = [one for one in rights["topic_permissions"] if one["user"] == service]
    for kind, event in REGISTRY.items():
        assert bool(re.search(topics["write"], kind)) == (event.publisher == service), kind


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_makes_nothing_and_reads_its_own_queue_alone(service: str, rights: dict[str, Any]) -> None:
    """Whoever may bind a queue of its own to the events' exchange reads everything."""
    [permission] = [one for one in rights["permissions"] if one["user"] == service]
    [topics] = [one for one in rights["topic_permissions"] if one["user"] == service]
    lane = lane_queue("7f0c").name
    for name in (*(queue.name for queue in fixed_queues()), *Exchange, lane, "amq.default", "anything", ""):
        assert bool(re.search(permission["configure"], name)) == (name == ""), name  # "" is never a name
        reads = name == event_queue(service).name or (service == "notifier" and name == lane)
        assert bool(re.search(permission["read"], name)) == (reads or (name, service) == ("", "gateway")), (
            name
        )
        writes = (name == Exchange.EVENTS and service != "gateway") or (
            name == Exchange.LANES and service == "notifier"
        )
        assert bool(re.search(permission["write"], name)) == (writes or (name, service) == ("", "gateway"))
    assert not [kind for kind in REGISTRY if re.search(topics["read"], kind)]


def test_the_topology_makes_everything_and_publishes_no_event(rights: dict[str, Any]) -> None:
    [permission] = [one for one in rights["permissions"] if one["user"] == "topology"]
    [topics] = [one for one in rights["topic_permissions"] if one["user"] == "topology"]
    for name in (*(queue.name for queue in fixed_queues()), *Exchange, lane_queue("7f0c").name):
        assert all(re.search(permission[right], name) for right in ("configure", "write", "read")), name
    for name in ("amq.default", "anything", "amq.topic"):
        assert not any(re.search(permission[right], name) for right in ("configure", "write", "read")), name
    assert not [kind for kind in REGISTRY if re.search(topics["write"], kind)]
    assert [user["tags"] for user in rights["users"] if user["name"] == "topology"] == [["management"]]


def test_no_credential_is_committed(rights: dict[str, Any]) -> None:
    assert not [user for user in rights["users"] if "password_hash" in user or "password" in user]
    kept = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert not [path for path in kept if re.search(r"(\.key|\.secret|\.pem|compose\.env|(^|/)\.env)$", path)]
