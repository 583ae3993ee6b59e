"""DynamoDB expressions: parsed, carried over to other names, written back, and evaluated.

Everything here is pure. Errors are ``ValidationError`` in DynamoDB's words, as DynamoDB Local
and AWS give them; the tests compare with the real engine.
"""

from dualwrite.core.expressions.apply_update import apply, updated
from dualwrite.core.expressions.ast import (
    And,
    Arithmetic,
    Attribute,
    Between,
    Comparison,
    Condition,
    Expression,
    Function,
    IfNotExists,
    In,
    ListAppend,
    Literal,
    Not,
    Operand,
    Or,
    Path,
    Projection,
    SetAction,
    SetValue,
    Size,
    Update,
    ValueAction,
)
from dualwrite.core.expressions.build import (
    all_of,
    any_of,
    conjoin,
    equals,
    exists,
    less,
    not_exists,
    with_set,
)
from dualwrite.core.expressions.conditions import (
    CONDITION,
    FILTER,
    KEY_CONDITION,
    parse_condition,
)
from dualwrite.core.expressions.evaluate import holds
from dualwrite.core.expressions.keys import (
    KeyCondition,
    RangeCondition,
    check_filter,
    check_key_paths,
    judged,
    key_condition,
)
from dualwrite.core.expressions.placeholders import (
    check_placeholders,
    check_unused,
    placeholders_in,
)
from dualwrite.core.expressions.projection import project
from dualwrite.core.expressions.render import Placeholders, render
from dualwrite.core.expressions.syntax import condition_syntax, update_syntax
from dualwrite.core.expressions.translate import (
    creates,
    literals_written,
    names_used,
    names_written,
    rename,
)
from dualwrite.core.expressions.updates import (
    PROJECTION,
    UPDATE,
    parse_projection,
    parse_update,
)
from dualwrite.core.expressions.wellformed import check_item, check_name, check_value

__all__ = [
    "CONDITION",
    "FILTER",
    "KEY_CONDITION",
    "PROJECTION",
    "UPDATE",
    "And",
    "Arithmetic",
    "Attribute",
    "Between",
    "Comparison",
    "Condition",
    "Expression",
    "Function",
    "IfNotExists",
    "In",
    "KeyCondition",
    "ListAppend",
    "Literal",
    "Not",
    "Operand",
    "Or",
    "Path",
    "Placeholders",
    "Projection",
    "RangeCondition",
    "SetAction",
    "SetValue",
    "Size",
    "Update",
    "ValueAction",
    "all_of",
    "any_of",
    "apply",
    "check_filter",
    "check_item",
    "check_key_paths",
    "check_name",
    "check_placeholders",
    "check_unused",
    "check_value",
    "condition_syntax",
    "conjoin",
    "creates",
    "equals",
    "exists",
    "holds",
    "judged",
    "key_condition",
    "less",
    "literals_written",
    "names_used",
    "names_written",
    "not_exists",
    "parse_condition",
    "parse_projection",
    "parse_update",
    "placeholders_in",
    "project",
    "rename",
    "render",
    "update_syntax",
    "updated",
    "with_set",
]
