"""What docker-compose.yml, Prometheus and Grafana are told agrees with the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dualwrite.core.metric_names import METRICS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: entry for name, entry in SERVICES.items() if "build" in entry}
LONG_RUNNING = {name: entry for name, entry in SERVICES.items() if entry.get("restart") != "no"}
DASHBOARD: dict[str, Any] = json.loads(
    (ROOT / "deploy/grafana/dashboards/dualwrite.json").read_text()
)
EXPRESSIONS = [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())
]
NETWORK_OWNER = "engine"


def option(service: str, name: str) -> str | None:
    command = SERVICES[service].get("command", [])
    return command[command.index(name) + 1] if name in command else None


def test_all_parts_are_there() -> None:
    """Engine, controller, two consumers, two proxies, and what shows them; Kafka on demand."""
    assert {"engine", "control", "prometheus", "grafana", "kafka"} <= SERVICES.keys()
    verbs = [entry["command"][0] for entry in OURS.values() if "entrypoint" not in entry]
    assert sorted(verbs) == ["check", "consume", "consume", "control", "proxy", "proxy"]
    assert SERVICES["kafka"]["profiles"] == ["kafka"]


@pytest.mark.parametrize("service", SERVICES)
def test_images_are_pinned(service: str) -> None:
    """Every image has a tag, and none floats."""
    name, _, tag = SERVICES[service]["image"].rpartition(":")
    assert name
    assert re.search(r"\d+\.\d+", tag)


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_loopback_only(service: str) -> None:
    """Nothing is reached from another machine."""
    for published in SERVICES[service].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", published)


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_long_running_services_have_health_checks(service: str) -> None:
    """A service that hangs is seen."""
    assert SERVICES[service]["healthcheck"]["test"]


@pytest.mark.parametrize("service", [name for name, entry in OURS.items() if "ports" not in entry])
def test_our_parts_share_one_network(service: str) -> None:
    """The proxy listens on loopback, so its clients must have the same one."""
    assert SERVICES[service]["network_mode"] == f"service:{NETWORK_OWNER}"


def test_no_two_services_want_one_port() -> None:
    """They share a network, so their ports differ."""
    ports = [
        value
        for service in OURS
        for name in ("--port", "--metrics-port")
        if (value := option(service, name))
    ]
    assert len(ports) == len(set(ports)) == 7


def test_what_a_service_waits_for_exists() -> None:
    """Names in depends_on are services; one that must end is one that ends."""
    for entry in SERVICES.values():
        for name, condition in entry.get("depends_on", {}).items():
            assert name in SERVICES
            ends = SERVICES[name].get("restart") == "no"
            assert (condition["condition"] == "service_completed_successfully") is ends


def test_mounted_files_exist() -> None:
    """Every path of the repository that a container sees is there."""
    for entry in SERVICES.values():
        for volume in entry.get("volumes", ()):
            assert (ROOT / volume.split(":")[0]).exists()


def test_the_door_knows_every_proxy() -> None:
    """Clients reach all proxies through the one published port."""
    conf = (ROOT / "deploy/nginx/nginx.conf").read_text()
    known = set(re.findall(r"server 127\.0\.0\.1:(\d+)", conf))
    assert known == {option("proxy-1", "--port"), option("proxy-2", "--port")}
    listen = re.findall(r"listen (\d+);", conf)
    assert [f"127.0.0.1:{port}:{port}" for port in listen] == [
        port for port in SERVICES[NETWORK_OWNER]["ports"] if port.endswith(":8001")
    ]


def test_prometheus_scrapes_every_service_of_ours() -> None:
    """Each target is the metrics port of the service that its label names, and none lacks."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    scraped = {
        entry["labels"]["service"]: entry["targets"]
        for job in config["scrape_configs"]
        for entry in job["static_configs"]
    }
    served = {
        name: [f"127.0.0.1:{port}"] for name in OURS if (port := option(name, "--metrics-port"))
    }
    assert scraped == served


def test_the_dashboard_finds_its_prometheus() -> None:
    """The data source that panels name is the one that is provided, at Prometheus' own port."""
    provided = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    uids = {source["uid"] for source in provided["datasources"]}
    used = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if "datasource" in panel}
    assert used == uids


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_panels_ask_for_metrics_that_exist(expression: str) -> None:
    """Names and labels in the dashboard are those of core.metric_names."""
    names = set(re.findall(r"dualwrite_\w+", expression))
    assert names
    known: set[str] = {"le", "service"}
    for name in names:
        base = name.removesuffix("_bucket") if name not in METRICS else name
        assert base in METRICS
        assert (name != base) == (METRICS[base].kind == "histogram")
        known |= set(METRICS[base].labels)
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in labels.split(",")} <= known


def test_every_metric_is_shown() -> None:
    """A metric that nobody looks at is on no dashboard; ours has them all."""
    shown = " ".join(EXPRESSIONS)
    assert [name for name in METRICS if name not in shown] == []
