"""The shape of ``migration.toml``, which is pydantic's to judge."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dualwrite.core.derivation import SEPARATOR
from dualwrite.core.endpoints import endpoint_problem


class Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


_Name = Annotated[str, Field(min_length=1, max_length=255)]


class Attribute(Shape):
    """``"id"``, or ``{ name = "id", type = "N" }``."""

    name: _Name
    type: Literal["S", "N", "B"] = "S"


_KeyAttribute = Annotated[Attribute, BeforeValidator(_named)]


class Keys(Shape):
    hash: _KeyAttribute
    range: _KeyAttribute | None = None


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_Attributes = Annotated[list[_KeyAttribute], BeforeValidator(_listed)]


class Index(Shape):
    """The keys of a global index may have several attributes of each kind."""

    hash: Annotated[_Attributes, Field(min_length=1, max_length=4)]
    range: Annotated[_Attributes, Field(max_length=4)] = []
    kind: Literal["local", "global"] = "local"
    projection: Literal["ALL", "KEYS_ONLY"] | list[_Name] = "ALL"


class Side(Keys):
    name: str
    indexes: dict[_Name, Index] = {}


class Lookup(Shape):
    table: str
    how: Literal["key", "hash", "index"]
    match: Annotated[dict[_Name, _Name], Field(min_length=1)]


class Derive(Shape):
    source: _Name | None = None
    mapping: str | None = None
    templates: dict[_Name, str] = {}
    lookups: list[Lookup] = []


class Table(Shape):
    kind: Literal["rekey", "in-place"]
    attributes: list[_Name] = []
    underivable: Literal["hold", "carry"] = "hold"
    unmappable: Literal["hold", "leave"] = "hold"
    old: Side
    new: Side | None = None
    derive: Derive = Derive()


class Mapping(Shape):
    file: str
    old: _Name
    gives: Annotated[list[_Name], Field(min_length=1)]
    fallback: Literal["refuse", "identity"] = "refuse"


def _engine(url: str) -> str:
    problem = endpoint_problem(url)
    if problem is not None:
        raise ValueError(f"{url!r} {problem}")
    return url.rstrip("/")


class Place(Shape):
    """Where one side is; all of it may be left out."""

    endpoint: Annotated[str, AfterValidator(_engine)] | None = None
    region: _Name | None = None
    profile: _Name | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] | None = None


class Header(Shape):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    separator: str = SEPARATOR
    control_table: str | None = None
    old: Place = Place()
    new: Place = Place()


class File(Shape):
    migration: Header
    mappings: dict[_Name, Mapping] = {}
    tables: Annotated[dict[_Name, Table], Field(min_length=1)]
