"""``dualwrite consume``: one consumer."""

from dualwrite.cli.base import (
    EndpointOption,
    FeedImagesOption,
    FeedOption,
    LeaseOption,
    MetricsPortOption,
    QueueOption,
    RegionOption,
    SpecOption,
    SupervisedOption,
    reported,
)
from dualwrite.settings import parse
from dualwrite.wiring.consumer import run_consumer


def consume(
    spec: SpecOption,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    metrics_port: MetricsPortOption = 0,
    lease_seconds: LeaseOption = 3.0,
    queue: QueueOption = "memory",
    feed: FeedOption = "",
    feed_images: FeedImagesOption = False,
    supervised: SupervisedOption = False,
) -> None:
    """Read both streams, copy and repair, until SIGTERM or Ctrl-C."""
    with reported():
        run_consumer(
            parse(
                spec,
                endpoint,
                region=region,
                metrics_port=metrics_port,
                lease_seconds=lease_seconds,
                queue=queue,
                feed=feed,
                feed_images=feed_images,
                supervised=supervised,
            )
        )
