"""PartiQL as DynamoDB speaks it: statements parsed, and put as the calls that they stand for.

Everything here is pure. Errors are ``ValidationError``, in DynamoDB's words where it has some.
"""

from dualwrite.core.partiql.ast import (
    Change,
    Exists,
    Insert,
    Remove,
    Select,
    Statement,
)
from dualwrite.core.partiql.bind import Binder, bound
from dualwrite.core.partiql.bodies import mutation, names_of, single_read
from dualwrite.core.partiql.select import Leg, Plan, plan_of, shown, shown_of_one
from dualwrite.core.partiql.syntax import parse_statement

__all__ = [
    "Binder",
    "Change",
    "Exists",
    "Insert",
    "Leg",
    "Plan",
    "Remove",
    "Select",
    "Statement",
    "bound",
    "mutation",
    "names_of",
    "parse_statement",
    "plan_of",
    "shown",
    "shown_of_one",
    "single_read",
]
