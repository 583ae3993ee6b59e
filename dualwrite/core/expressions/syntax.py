"""Parses the text of an expression, placeholders unresolved, and checks what the text alone tells.

What comes out depends on the text only, so it is cached; ``bind`` does the rest per request.
The checks run in the order in which DynamoDB reports: syntax and redundant parentheses, then
function names and reserved words from left to right, repeated sections, the number of operators.
"""

from dataclasses import dataclass
from functools import lru_cache

from dualwrite.core.expressions.reserved import RESERVED
from dualwrite.core.expressions.tokens import Cursor, invalid

OPERATORS_MAX = 300
"""AWS: "the maximum number of operators or functions allowed ... is 300"."""
DEPTH_MAX = 160
"""Nested parentheses and NOTs; ours, so that no expression can exhaust the stack. Parentheses that
DynamoDB takes hold two operators a level, so its own limit stops them at 150."""
CACHED_TEXTS = 2048
"""An application has a fixed, small set of expression texts; each is at most 4 KB."""

COMPARATORS = frozenset({"=", "<>", "<", "<=", ">", ">="})
TESTS = frozenset(
    {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"}
)
SET_FUNCTIONS = frozenset({"if_not_exists", "list_append"})
SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")

_FUNCTIONS = TESTS | SET_FUNCTIONS | {"size"}
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN", *SECTIONS})


@dataclass(frozen=True, slots=True)
class Node:
    """One node as written. ``op`` is path, value, call, a comparator, AND, OR, NOT, IN, BETWEEN,
    + or -; ``word`` the placeholder or function name; ``path`` the steps, "#x" unresolved."""

    op: str
    args: "tuple[Node, ...]" = ()
    word: str = ""
    path: tuple[str | int, ...] = ()

    @property
    def is_operand(self) -> bool:
        """Whether DynamoDB's grammar takes it as a value (a call may be a value or a test)."""
        return self.op in {"path", "value", "call"}


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an update; each action is (path, value), a REMOVE's value is None."""

    word: str
    actions: tuple[tuple[Node, Node | None], ...]


@lru_cache(maxsize=CACHED_TEXTS)
def condition_syntax(text: str, kind: str) -> Node:
    """The tree of a condition, filter or key condition."""
    parser = _Parser(text, kind)
    node = parser.condition(0, 0)
    if node.op in {"path", "value"} or parser.cursor.token.kind != "end":
        parser.cursor.fail()
    parser.check(TESTS | {"size"}, "a condition expression")
    return node


@lru_cache(maxsize=CACHED_TEXTS)
def update_syntax(text: str, kind: str) -> tuple[Section, ...]:
    """The sections of an update, in the order of the text."""
    parser = _Parser(text, kind)
    sections = [parser.section()]
    while parser.cursor.token.kind != "end":
        sections.append(parser.section())
    parser.check(SET_FUNCTIONS, "an update expression")
    seen: set[str] = set()
    for section in sections:
        if section.word in seen:
            raise invalid(
                kind, f'The "{section.word}" section can only be used once in an update expression;'
            )
        seen.add(section.word)
    if any(node is not None and _appends_within(node) for s in sections for _, node in s.actions):
        raise invalid(
            kind,
            "The function is not allowed to be used this way in an expression; "
            "function: list_append",
        )
    return tuple(sections)


@lru_cache(maxsize=CACHED_TEXTS)
def projection_syntax(text: str, kind: str) -> tuple[Node, ...]:
    """The paths of a projection."""
    parser = _Parser(text, kind)
    paths = [parser.path()]
    while parser.cursor.accept(","):
        paths.append(parser.path())
    if parser.cursor.token.kind != "end":
        parser.cursor.fail()
    parser.check(frozenset(), "")
    return tuple(paths)


class _Parser:
    """Recursive descent for nesting, precedence climbing for AND and OR."""

    def __init__(self, text: str, kind: str) -> None:
        self.cursor = Cursor(text, kind)
        self._kind = kind
        self._words: list[tuple[bool, str]] = []
        """(is a function, word) in the order of the text."""
        self._operators = 0
        self._redundant = False
        self._pairs: dict[int, int] = {}
        """Where each grouping parenthesis that was opened is closed."""

    def check(self, allowed: frozenset[str], where: str) -> None:
        """What only makes sense to say once the syntax is right."""
        if self._redundant:
            raise invalid(self._kind, "The expression has redundant parentheses;")
        for is_function, word in self._words:
            if not is_function:
                if word.upper() in RESERVED:
                    raise invalid(
                        self._kind,
                        f"Attribute name is a reserved keyword; reserved keyword: {word}",
                    )
            elif word not in _FUNCTIONS:
                raise invalid(self._kind, f"Invalid function name; function: {word}")
            elif word not in allowed:
                raise invalid(
                    self._kind, f"The function is not allowed in {where}; function: {word}"
                )
        if self._operators > OPERATORS_MAX:
            raise invalid(
                self._kind,
                f"The expression contains too many operators; operator count: {OPERATORS_MAX + 1}",
            )

    # -- conditions --------------------------------------------------------------------------

    def condition(self, binding: int, depth: int) -> Node:
        """A condition whose operators bind tighter than ``binding`` (OR 1, AND 2).

        In parentheses it may turn out to be a lone operand; the caller sees to that.
        """
        left = self._prefix(depth)
        while True:
            word = self.cursor.keyword()
            strength = {"OR": 1, "AND": 2}.get(word, 0)
            if strength <= binding:
                return left
            if left.op in {"path", "value"}:
                self.cursor.fail()
            self.cursor.take()
            self._operators += 1
            right = self.condition(strength, depth)
            if right.op in {"path", "value"}:
                self.cursor.fail()
            left = Node(word, (*_parts(word, left), *_parts(word, right)))

    def _prefix(self, depth: int) -> Node:
        if self.cursor.accept_keyword("NOT"):
            self._operators += 1
            inner = self.condition(2, self._deeper(depth))
            if inner.op in {"path", "value"}:
                self.cursor.fail()
            return Node("NOT", (inner,))
        left = self._parenthesised(depth) if self.cursor.is_symbol("(") else self.operand(depth)
        return self._suffix(left, depth) if left.is_operand else left

    def _parenthesised(self, depth: int) -> Node:
        opened = self.cursor.position
        self.cursor.take()
        inner = self.condition(0, self._deeper(depth))
        self._close(opened)
        return inner

    def _close(self, opened: int) -> None:
        """Take the parenthesis that closes the one at ``opened``; note a pair within a pair."""
        closed = self.cursor.position
        self.cursor.expect(")")
        self._redundant |= self._pairs.get(opened + 1) == closed - 1
        self._pairs[opened] = closed

    def _suffix(self, left: Node, depth: int) -> Node:
        """What may follow an operand: a comparison, BETWEEN or IN, or nothing."""
        token = self.cursor.token
        if token.kind == "symbol" and token.text in COMPARATORS:
            self.cursor.take()
            self._operators += 1
            return Node(token.text, (left, self.operand(depth)))
        if self.cursor.accept_keyword("BETWEEN"):
            self._operators += 1
            low = self.operand(depth)
            if not self.cursor.accept_keyword("AND"):
                self.cursor.fail()
            return Node("BETWEEN", (left, low, self.operand(depth)))
        if self.cursor.accept_keyword("IN"):
            self._operators += 1
            return Node("IN", (left, *self._arguments(depth)))
        return left

    # -- operands ----------------------------------------------------------------------------

    def operand(self, depth: int) -> Node:
        """A path, a value, a function call, or one of these in parentheses."""
        token = self.cursor.token
        if token.kind == "value":
            self.cursor.take()
            return Node("value", word=token.text)
        if self.cursor.is_symbol("("):
            opened = self.cursor.position
            self.cursor.take()
            inner = self.operand(self._deeper(depth))
            self._close(opened)
            return inner
        if token.kind == "word" and token.text.upper() not in _KEYWORDS:
            following = self.cursor.following
            if following.kind == "symbol" and following.text == "(":
                self.cursor.take()
                self._operators += 1
                self._words.append((True, token.text))
                return Node("call", self._arguments(self._deeper(depth)), word=token.text)
        return self.path()

    def path(self) -> Node:
        steps: list[str | int] = [self._name()]
        while True:
            if self.cursor.accept("."):
                steps.append(self._name())
            elif self.cursor.accept("["):
                if self.cursor.token.kind != "index":
                    self.cursor.fail()
                steps.append(int(self.cursor.take().text))
                self.cursor.expect("]")
            else:
                return Node("path", path=tuple(steps))

    def _name(self) -> str:
        token = self.cursor.token
        if token.kind == "word" and token.text.upper() not in _KEYWORDS:
            self._words.append((False, token.text))
        elif token.kind != "name":
            self.cursor.fail()
        return self.cursor.take().text

    def _arguments(self, depth: int) -> tuple[Node, ...]:
        self.cursor.expect("(")
        found = [self.operand(depth)]
        while self.cursor.accept(","):
            found.append(self.operand(depth))
        self.cursor.expect(")")
        return tuple(found)

    def _deeper(self, depth: int) -> int:
        if depth >= DEPTH_MAX:
            raise invalid(self._kind, f"The expression is nested over {DEPTH_MAX} levels deep;")
        return depth + 1

    # -- updates -----------------------------------------------------------------------------

    def section(self) -> Section:
        word = self.cursor.keyword()
        if word not in SECTIONS:
            self.cursor.fail()
        self.cursor.take()
        actions = [self._action(word)]
        while self.cursor.accept(","):
            actions.append(self._action(word))
        return Section(word, tuple(actions))

    def _action(self, section: str) -> tuple[Node, Node | None]:
        path = self.path()
        if section == "REMOVE":
            return path, None
        if section == "SET":
            self.cursor.expect("=")
            return path, self._set_value(0)
        token = self.cursor.token
        if token.kind != "value":
            self.cursor.fail()
        self.cursor.take()
        return path, Node("value", word=token.text)

    def _set_value(self, depth: int) -> Node:
        """An operand, or a sum or difference of two, maybe in parentheses as a whole."""
        if not self.cursor.is_symbol("("):
            return self._sum(self.operand(depth))
        opened = self.cursor.position
        self.cursor.take()
        inner = self._set_value(self._deeper(depth))
        self._close(opened)
        return self._sum(inner) if inner.is_operand else inner

    def _sum(self, left: Node) -> Node:
        for operator in ("+", "-"):
            if self.cursor.accept(operator):
                self._operators += 1
                return Node(operator, (left, self.operand(0)))
        return left


def _parts(word: str, node: Node) -> tuple[Node, ...]:
    """AND within AND is one flat list, and so is OR."""
    return node.args if node.op == word else (node,)


def _appends_within(node: Node) -> bool:
    """Whether a list_append stands anywhere but as a whole SET value."""
    return any(inner.word == "list_append" or _appends_within(inner) for inner in node.args)
