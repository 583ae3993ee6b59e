"""``dualwrite control``: one controller."""

from dualwrite.cli.base import (
    EndpointOption,
    LeaseOption,
    MetricsPortOption,
    QueueOption,
    RegionOption,
    SpecOption,
    SupervisedOption,
    reported,
)
from dualwrite.settings import parse
from dualwrite.wiring.controller import run_controller


def control(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    metrics_port: MetricsPortOption = 0,
    lease_seconds: LeaseOption = 3.0,
    queue: QueueOption = "memory",
    supervised: SupervisedOption = False,
) -> None:
    """Move the tables along the square, until SIGTERM or Ctrl-C."""
    with reported():
        run_controller(
            parse(
                spec,
                endpoint,
                region=region,
                metrics_port=metrics_port,
                lease_seconds=lease_seconds,
                queue=queue,
                supervised=supervised,
            )
        )
