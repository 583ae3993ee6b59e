"""Parses the paths, values and conditions inside a PartiQL statement.

condition  = conjunction { "OR" conjunction }
conjunction = negation { "AND" negation }
negation   = "NOT" negation | test
test       = sum [ comparator sum | "IS" [ "NOT" ] ( "NULL" | "MISSING" )
             | [ "NOT" ] "BETWEEN" sum "AND" sum | [ "NOT" ] "IN" ( "(" sums ")" | list | set ) ]
sum        = term { ( "+" | "-" ) term }
term       = [ "+" | "-" ] ( literal | "?" | path | function "(" sums ")" | "(" condition ")"
             | list | set | "{" string ":" sum { "," ... } "}" )
list       = "[" sums "]" | "LIST" "(" sums ")"
set        = "<<" sums ">>" | "BAG" "(" sums ")"
path       = name { "." name | "[" integer "]" | "[" string "]" }
"""

from decimal import Decimal

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import Path
from dualwrite.core.expressions.values import DIGITS_MAX, number
from dualwrite.core.partiql.ast import Node
from dualwrite.core.partiql.reserved import RESERVED
from dualwrite.core.partiql.tokens import Cursor, malformed

DEPTH_MAX = 64
"""Nesting of parentheses and values; ours, so that no statement can exhaust the stack."""
COMPARATORS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

_COLLECTIONS = {"list": "list", "bag": "set"}
"""PartiQL's constructors, which are other words for [...] and <<...>>."""
_CONSTANTS = {"TRUE": {"BOOL": True}, "FALSE": {"BOOL": False}, "NULL": {"NULL": True}}


class ExpressionParser:
    """Recursive descent; one rule of the grammar a method."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.parameters = 0
        """How many ``?`` were read."""
        self._depth = 0

    # -- names ---------------------------------------------------------------------------------

    def identifier(self) -> str:
        token = self.cursor.token
        if token.kind == "word" and token.text.upper() in RESERVED:
            raise self.cursor.unexpected()
        if token.kind not in ("word", "quoted"):
            raise self.cursor.unexpected()
        return self.cursor.take().text

    def path(self) -> Path:
        self.cursor.accept("@")
        steps: list[str | int] = [self.identifier()]
        while True:
            if self.cursor.accept("."):
                steps.append(self.identifier())
            elif self.cursor.accept("["):
                token = self.cursor.take()
                if token.kind == "string":
                    steps.append(token.text)
                elif token.kind == "number" and token.text.isdigit():
                    steps.append(int(token.text))
                else:
                    raise malformed(f"unexpected token: {token.text}")
                self.cursor.expect("]")
            else:
                break
        if "" in steps:
            raise ValidationError("Path component cannot be an empty string")
        return tuple(steps)

    # -- conditions ----------------------------------------------------------------------------

    def condition(self) -> Node:
        parts = [self.conjunction()]
        while self.cursor.accept_keyword("OR"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Node("OR", tuple(parts))

    def conjunction(self) -> Node:
        parts = [self.negation()]
        while self.cursor.accept_keyword("AND"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else Node("AND", tuple(parts))

    def negation(self) -> Node:
        if not self.cursor.accept_keyword("NOT"):
            return self.test()
        self._deeper()
        inner = self.negation()
        self._depth -= 1
        return Node("NOT", (inner,))

    def test(self) -> Node:
        left = self.sum()
        token = self.cursor.token
        if token.kind == "symbol" and token.text in COMPARATORS:
            self.cursor.take()
            return Node(COMPARATORS[token.text], (left, self.sum()))
        if self.cursor.accept_keyword("IS"):
            turned = self.cursor.accept_keyword("NOT")
            which = self.cursor.keyword()
            if which not in ("NULL", "MISSING"):
                raise self.cursor.unexpected()
            self.cursor.take()
            return _turned(Node(which, (left,)), turned)
        turned = self.cursor.keyword() == "NOT" and self.cursor.following.text.upper() in (
            "BETWEEN", "IN", "LIKE",
        )  # fmt: skip
        if turned:
            self.cursor.take()
        if self.cursor.accept_keyword("BETWEEN"):
            low = self.sum()
            self.cursor.expect_keyword("AND")
            return _turned(Node("BETWEEN", (left, low, self.sum())), turned)
        if self.cursor.accept_keyword("IN"):
            return _turned(Node("IN", (left, *self.choices())), turned)
        if self.cursor.keyword() == "LIKE":
            raise ValidationError("Unsupported operator in Condition Expression. Operator: like")
        return left

    def choices(self) -> tuple[Node, ...]:
        """What follows IN."""
        if self.cursor.accept("("):
            members = self.members(")")
        else:
            collection = self.term()
            members = collection.args if collection.op in _COLLECTIONS.values() else ()
        if members:
            return members
        raise ValidationError(
            "IN operator must have a left hand argument of type Variable Reference and right hand "
            "argument of type Seq with at least one member"
        )

    # -- values --------------------------------------------------------------------------------

    def sum(self) -> Node:
        left = self.term()
        while self.cursor.is_symbol("+") or self.cursor.is_symbol("-"):
            operator = self.cursor.take().text
            left = Node(operator, (left, self.term()))
        return left

    def term(self) -> Node:
        self._deeper()
        node = self._term()
        self._depth -= 1
        return node

    def _term(self) -> Node:
        if self.cursor.accept("-"):
            return Node("neg", (self.term(),))
        if self.cursor.accept("+"):
            return self.term()
        if self.cursor.accept("?"):
            self.parameters += 1
            return Node("param", number=self.parameters - 1)
        if self.cursor.accept("("):
            return self.parenthesised()
        if self.cursor.accept("["):
            return Node("list", self.members("]"))
        if self.cursor.accept("<<"):
            return Node("set", self.members(">>"))
        if self.cursor.accept("{"):
            return self.map()
        token = self.cursor.token
        if token.kind == "string":
            self.cursor.take()
            return Node("const", value={"S": token.text})
        if token.kind == "number":
            self.cursor.take()
            return Node("const", value={"N": _number(token.text)})
        word = self.cursor.keyword()
        if word in _CONSTANTS:
            self.cursor.take()
            return Node("const", value=dict(_CONSTANTS[word]))
        if word == "MISSING":
            self.cursor.take()
            return Node("missing")
        following = self.cursor.following
        if token.kind in ("word", "quoted") and (following.kind, following.text) == ("symbol", "("):
            self.cursor.take()
            self.cursor.take()
            word, members = token.text.lower(), self.members(")")
            if word in _COLLECTIONS:
                return Node(_COLLECTIONS[word], members)
            return Node("call", members, word=word)
        return Node("path", path=self.path())

    def parenthesised(self) -> Node:
        """A condition or value in parentheses, or a list of several."""
        inner = self.condition()
        if not self.cursor.is_symbol(","):
            self.cursor.expect(")")
            return inner
        self.cursor.take()
        return Node("list", (inner, *self.members(")")))

    def members(self, closing: str) -> tuple[Node, ...]:
        if self.cursor.accept(closing):
            return ()
        found = [self.condition()]
        while self.cursor.accept(","):
            found.append(self.condition())
        self.cursor.expect(closing)
        return tuple(found)

    def map(self) -> Node:
        names: list[str] = []
        values: list[Node] = []
        while not self.cursor.accept("}"):
            if names:
                self.cursor.expect(",")
            token = self.cursor.take()
            if token.kind != "string":
                raise ValidationError("Tuple keys must be of type String.")
            if token.text in names:
                raise ValidationError(f"Duplicate keys in tuple. Key: {token.text}")
            self.cursor.expect(":")
            names.append(token.text)
            values.append(self.sum())
        return Node("map", tuple(values), names=tuple(names))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise ValidationError("The statement is nested too deeply")


def _turned(node: Node, turned: bool) -> Node:
    return Node("NOT", (node,)) if turned else node


def _number(text: str) -> str:
    value = Decimal(text)
    if len(value.normalize().as_tuple().digits) > DIGITS_MAX or _digits(text) > DIGITS_MAX:
        raise ValidationError(f"DynamoDB only supports precision up to {DIGITS_MAX} digits")
    return number(value)


def _digits(text: str) -> int:
    """Significant digits, which Decimal's default context would have rounded away."""
    mantissa = text.lower().partition("e")[0].replace(".", "").lstrip("0").rstrip("0")
    return len(mantissa)
