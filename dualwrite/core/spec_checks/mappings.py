"""Whether a mapping is a one-to-one map between usable ids."""

from collections.abc import Iterator

from dualwrite.core.derivation import PART_BYTES_MAX, SEPARATOR
from dualwrite.core.items import HASH_BYTES_MAX
from dualwrite.core.spec import ValueMap
from dualwrite.core.spec_checks.fault import Fault


def mapping_faults(mapping: ValueMap) -> Iterator[Fault]:
    """What keeps the rows of a mapping from being a one-to-one map between usable ids."""
    if len(set(mapping.gives)) != len(mapping.gives):
        yield Fault(f"mappings.{mapping.name}.gives", "names a column twice", "name each once")
    first: dict[tuple[str, ...], str] = {}
    for old_id, parts in mapping.forward.items():
        where = f"row {old_id!r}"
        if not old_id:
            yield Fault("row ''", "the old id is empty", "remove the row")
        if len(old_id.encode()) > HASH_BYTES_MAX:
            yield Fault(where[:60], f"the old id is over {HASH_BYTES_MAX} bytes", "remove the row")
        for name, part in zip(mapping.gives, parts, strict=True):
            problem = _part_fault(part)
            if problem is not None:
                yield Fault(where, f"{name} {problem}", "give another value")
        other = first.setdefault(parts, old_id)
        if other != old_id:
            yield Fault(
                where,
                f"gives the same {', '.join(mapping.gives)} as {other!r}: there is no way back",
                "give each old id values of its own",
            )
        identical = len(set(parts)) == 1 and parts[0] != old_id
        if mapping.identity_fallback and identical and parts[0] not in mapping.forward:
            yield Fault(
                where,
                f"gives what the identity fall-back gives to {parts[0]!r}: there is no way back",
                f"add a row for {parts[0]!r}, or give other values",
            )


def _part_fault(part: str) -> str | None:
    if not part:
        return "is empty"
    if SEPARATOR in part:
        return f"holds the separator {SEPARATOR!r}"
    if len(part.encode()) > PART_BYTES_MAX:
        return f"is over {PART_BYTES_MAX} bytes"
    return None
