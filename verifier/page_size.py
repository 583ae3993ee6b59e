"""How many items a page of a scan asks for, so that no page keeps the engine long.

A page that takes seconds keeps clients and lease renewals waiting on an engine that does one thing
after the other, and takes what they need on any. As Spirit and gh-ost size their chunks by time, a
page is sized by what the one before it took.
"""

PAGE_SECONDS = 0.25
"""What a page is meant to take at most."""
ITEMS_FIRST = 500
ITEMS_MIN = 25
ITEMS_MAX = 16_000
"""AWS: a page holds at most 1 MB, so that this bounds none but those of items under 65 bytes."""


class PageSize:
    """``items`` is what the next page should ask for; shared by all scans of one reader."""

    def __init__(self) -> None:
        self.items = ITEMS_FIRST

    def took(self, asked: int, found: int, seconds: float) -> None:
        """Note a page: half of it next time if it took too long, twice if it was quick and full."""
        if seconds > PAGE_SECONDS:
            self.items = max(ITEMS_MIN, min(self.items, asked // 2))
        elif found >= asked and seconds < PAGE_SECONDS / 2:
            self.items = min(ITEMS_MAX, max(self.items, asked * 2))
