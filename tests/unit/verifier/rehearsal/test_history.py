"""What a worker writes down is what the judge reads."""

from pathlib import Path

from tests.unit.verifier.rehearsal.stories import entry
from verifier.rehearsal.history import Recorder, Seen, Tail, decode, encode, load


def test_an_entry_survives_its_file(tmp_path: Path) -> None:
    """Every field comes back, also those at their default and an absent row that was seen."""
    entries = [
        entry(1, "put", condition="absent", group="g", sdk="pynamodb", tenant="t"),
        entry(2, "read", seen=Seen(False)),
        entry(3, "add", field="turns", delta=-1, code="X", outcome="unknown", endpoint=1),
        entry(4, "violation", operation="", table="", key={}, note="é 供应商"),
    ]
    with Recorder(tmp_path / "w.jsonl") as recorder:
        recorder.add(entries)
    assert load(tmp_path / "w.jsonl") == entries


def test_a_tail_gives_each_whole_line_once(tmp_path: Path) -> None:
    """A line that is still being written waits for its end."""
    path = tmp_path / "w.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    first, second = encode(entry(1, "put")), encode(entry(2, "update"))
    path.write_bytes(first + second[:20])
    assert tail.read() == [decode(first)]
    assert tail.read() == []
    path.write_bytes(first + second)
    assert tail.read() == [decode(second)]
