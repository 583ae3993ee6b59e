"""The embedded engine as a rehearsal runs it."""

import gc

from verifier.rehearsal.embedded import settle


def test_the_oldest_objects_are_hardly_ever_walked() -> None:
    """The engine's tables are its oldest objects; young ones are still collected."""
    before = gc.get_threshold()
    try:
        settle()
        young, _, oldest = gc.get_threshold()
        assert young > before[0]
        assert oldest > 10 * before[2]
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
