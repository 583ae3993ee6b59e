"""Metrics as Prometheus reads them."""

import pytest

from dualwrite.adapters import metrics
from dualwrite.adapters.metrics import PrometheusMetrics
from dualwrite.core import metric_names


def test_every_metric_is_exported_under_its_name() -> None:
    """Counters keep their _total, histograms have buckets, and all have their labels."""
    subject = PrometheusMetrics()
    for name, spec in metric_names.METRICS.items():
        labels = [f"x{n}" for n in range(len(spec.labels))]
        match spec.kind:
            case "counter":
                subject.add(name, *labels)
            case "gauge":
                subject.set(name, *labels, value=1)
            case "histogram":
                subject.observe(name, *labels, value=0.003)
    text = subject.exposition().decode()
    for name, spec in metric_names.METRICS.items():
        shown = ",".join(sorted(f'{label}="x{n}"' for n, label in enumerate(spec.labels)))
        suffix = "_count" if spec.kind == "histogram" else ""
        assert f"{name}{suffix}{{{shown}}} 1.0" in text or f"{name}{suffix} 1.0" in text
        assert spec.help in text
    assert "_total_total" not in text


def test_values_add_up_and_are_replaced() -> None:
    """A counter sums, a gauge holds the newest value, a histogram counts into buckets."""
    subject = PrometheusMetrics()
    subject.add(metric_names.READS, "t", "old")
    subject.add(metric_names.READS, "t", "old", amount=2.5)
    subject.set(metric_names.EPOCH, "t", value=3)
    subject.set(metric_names.EPOCH, "t", value=4)
    subject.observe(metric_names.LEADER_SECONDS, "t", value=0.0031)
    text = subject.exposition().decode()
    assert 'dualwrite_reads_total{side="old",table="t"} 3.5' in text
    assert 'dualwrite_epoch{table="t"} 4.0' in text
    assert 'dualwrite_leader_seconds_bucket{le="0.002",table="t"} 0.0' in text
    assert 'dualwrite_leader_seconds_bucket{le="0.004",table="t"} 1.0' in text


def test_wrong_labels_are_an_error() -> None:
    """A metric without its labels would be a metric of its own."""
    with pytest.raises(ValueError, match="labels"):
        PrometheusMetrics().add(metric_names.READS, "t")


def test_label_sets_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that clients choose cannot fill the memory; what is over is counted together."""
    monkeypatch.setattr(metrics, "CHILDREN_MAX", 5)
    subject = PrometheusMetrics()
    for number in range(50):
        subject.add(metric_names.READS, f"t{number}", "old")
    text = subject.exposition().decode()
    assert text.count("dualwrite_reads_total{") == 6
    assert 'dualwrite_reads_total{side="other",table="other"} 45.0' in text
