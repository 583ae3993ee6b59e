"""Fills in a statement's parameters: trees as written become expressions and typed values."""

from collections.abc import Sequence
from dataclasses import dataclass

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    And,
    Arithmetic,
    Attribute,
    Between,
    Comparison,
    Condition,
    Function,
    IfNotExists,
    In,
    ListAppend,
    Literal,
    Not,
    Operand,
    Or,
    Path,
    Placeholders,
    SetAction,
    SetValue,
    Size,
    Update,
    ValueAction,
    parse_condition,
    parse_update,
    render,
)
from dualwrite.core.expressions.ast import SetOperand
from dualwrite.core.expressions.values import plus
from dualwrite.core.items import AttributeValue, Item, canonical_number
from dualwrite.core.partiql.ast import Node

TESTS = frozenset(
    {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"}
)
SETS = {"set_add": "ADD", "set_delete": "DELETE"}
_SET_KINDS = {"S": "SS", "N": "NS"}


@dataclass(frozen=True, slots=True)
class Binder:
    """Turns nodes into values; each parameter stands for one of ``parameters``."""

    parameters: Sequence[AttributeValue]

    # -- values --------------------------------------------------------------------------------

    def value(self, node: Node, *, inside: bool = False) -> AttributeValue:
        """A value that needs no item; ``inside`` another one no parameter may stand."""
        match node.op:
            case "const":
                assert node.value is not None, "a constant has a value"
                return node.value
            case "param" if not inside:
                return self.parameters[node.number]
            case "neg":
                return self._negative(node)
            case "list":
                return {"L": [self.value(member, inside=True) for member in node.args]}
            case "map":
                return {"M": self.members(node, inside=True)}
            case "set":
                return self._set(node)
            case "missing":
                raise ValidationError("Unsupported data type: MISSING")
        raise ValidationError(f"Unsupported data type: {_NAMED.get(node.op, node.op)}")

    def members(self, node: Node, *, inside: bool = False) -> Item:
        """The members of a map."""
        return {
            name: self.value(member, inside=inside)
            for name, member in zip(node.names, node.args, strict=True)
        }

    def _negative(self, node: Node) -> AttributeValue:
        value = self.value(node.args[0])
        if "N" not in value:
            raise ValidationError("Unsupported operand of the operator -")
        return {"N": plus("0", value["N"], -1)}

    def _set(self, node: Node) -> AttributeValue:
        values = [self.value(member, inside=True) for member in node.args]
        if not values:
            raise ValidationError("Empty bags are not supported")
        kinds = {next(iter(value)) for value in values}
        if len(kinds) > 1 or not kinds <= _SET_KINDS.keys():
            raise ValidationError(
                "Unsupported data type in Bag. DynamoDB only supports either numbers or strings "
                "in bags"
            )
        [kind] = kinds
        contents = [value[kind] for value in values]
        if len(set(map(canonical_number, contents) if kind == "N" else contents)) < len(contents):
            raise ValidationError("Input collection contains duplicates")
        return {_SET_KINDS[kind]: contents}

    # -- conditions ----------------------------------------------------------------------------

    def condition(self, node: Node) -> Condition:
        """A condition, checked as DynamoDB checks one."""
        built = self._condition(node)
        pool = Placeholders()
        text = render(built, pool)
        try:
            parse_condition(text, pool.names, pool.values)
        except ValidationError as error:
            raise unprefixed(error, "ConditionExpression") from error
        return built

    def _condition(self, node: Node) -> Condition:
        match node.op:
            case "=" | "<>" | "<" | "<=" | ">" | ">=":
                return Comparison(node.op, self.operand(node.args[0]), self.operand(node.args[1]))
            case "AND":
                return And(_flat(And, map(self._condition, node.args)))
            case "OR":
                return Or(_flat(Or, map(self._condition, node.args)))
            case "NOT":
                return Not(self._condition(node.args[0]))
            case "BETWEEN":
                operand, low, high = map(self.operand, node.args)
                return Between(operand, low, high)
            case "IN":
                operand, *choices = map(self.operand, node.args)
                return In(operand, tuple(choices))
            case "NULL":
                operands = (self._tested(node), Literal({"S": "NULL"}))
                return Function("attribute_type", operands)
            case "MISSING":
                return Function("attribute_not_exists", (self._tested(node),))
            case "call" if node.word in TESTS:
                return Function(node.word, tuple(map(self.operand, node.args)))
            case "call":
                raise ValidationError(f"Unrecognized function: {node.word}")
        raise ValidationError("The arguments to AND/OR must be Expressions")

    def _tested(self, node: Node) -> Operand:
        """What stands before IS."""
        tested = node.args[0]
        if tested.op not in ("path", "const", "neg", "param"):
            raise ValidationError(
                "The left hand side argument to IS must be a Variable Reference, Literal, or Path"
            )
        return self.operand(tested)

    def operand(self, node: Node) -> Operand:
        """One side of a comparison."""
        match node.op:
            case "path":
                return Attribute(node.path)
            case "call" if node.word == "size":
                if len(node.args) != 1:
                    raise ValidationError(
                        "Incorrect number of operands for operator or function; operator or "
                        f"function: size, number of operands: {len(node.args)}"
                    )
                return Size(self.operand(node.args[0]))
            case "call":
                raise ValidationError(f"Unrecognized function: {node.word}")
            case "missing":
                raise ValidationError("MISSING must be compared using IS operator")
            case "+" | "-":
                raise ValidationError(
                    f"Unsupported operator in Condition Expression. Operator: {node.op}"
                )
        return Literal(self.value(node))

    # -- updates -------------------------------------------------------------------------------

    def update(self, actions: Sequence[tuple[Path, Node | None]]) -> Update:
        """The update that a statement's actions make, checked as DynamoDB checks one."""
        sets: list[SetAction] = []
        removes: list[Path] = []
        changes: dict[str, list[ValueAction]] = {"ADD": [], "DELETE": []}
        for path, node in actions:
            if node is None:
                removes.append(path)
            elif node.op == "call" and node.word in SETS:
                changes[SETS[node.word]].append(self._set_change(path, node))
            else:
                sets.append(SetAction(path, self._assigned(node)))
        built = Update(tuple(sets), tuple(removes), tuple(changes["ADD"]), tuple(changes["DELETE"]))
        pool = Placeholders()
        text = render(built, pool)
        try:
            parse_update(text, pool.names, pool.values)
        except ValidationError as error:
            raise unprefixed(error, "UpdateExpression") from error
        return built

    def _set_change(self, path: Path, node: Node) -> ValueAction:
        name = node.word.upper()
        if len(node.args) != 2 or node.args[0].op != "path" or node.args[0].path != path:
            raise ValidationError(f"The first argument to {name} must equal the assignment value")
        value = self.value(node.args[1])
        if not value.keys() & {"SS", "NS", "BS"}:
            raise ValidationError(f"The second argument to {name} must be a value with type SET")
        return ValueAction(path, value)

    def _assigned(self, node: Node) -> SetValue:
        if node.op not in ("+", "-"):
            return self._set_operand(node)
        terms, constant = self._terms(node, 1), "0"
        open_terms: list[tuple[int, SetOperand]] = []
        for sign, term in terms:
            if isinstance(term, Literal) and "N" in term.value:
                constant = plus(constant, term.value["N"], sign)
            else:
                open_terms.append((sign, term))
        return _sum(open_terms, constant, len(terms))

    def _terms(self, node: Node, sign: int) -> list[tuple[int, SetOperand]]:
        """The terms of a sum, each with its sign."""
        if node.op not in ("+", "-"):
            return [(sign, self._set_operand(node))]
        left, right = node.args
        turned = sign if node.op == "+" else -sign
        return [*self._terms(left, sign), *self._terms(right, turned)]

    def _set_operand(self, node: Node) -> SetOperand:
        match node.op:
            case "path":
                return Attribute(node.path)
            case "call" if node.word == "list_append" and len(node.args) == 2:
                return ListAppend(*map(self._set_operand, node.args))
            case "call" if node.word == "if_not_exists" and len(node.args) == 2:
                path = node.args[0].path
                if not path:
                    raise ValidationError(
                        "Operator or function requires a document path; operator or function: "
                        "if_not_exists"
                    )
                return IfNotExists(path, self._set_operand(node.args[1]))
            case "call" if node.word in TESTS | {"size"}:
                raise ValidationError(
                    f"The function is not allowed in an update expression; function: {node.word}"
                )
            case "call":
                raise ValidationError(f"Unrecognized function: {node.word}")
            case "missing":
                raise ValidationError("MISSING must be compared using IS operator")
        return Literal(self.value(node))


_NAMED = {"param": "Parameter", "path": "VariableReference", "call": "Call"}


def unprefixed(error: ValidationError, parameter: str) -> ValidationError:
    """DynamoDB's words, without the name of a parameter that a statement does not have."""
    return ValidationError(error.message.removeprefix(f"Invalid {parameter}: "))


def _flat(kind: type[And] | type[Or], parts: "map[Condition]") -> tuple[Condition, ...]:
    """The parts, those of the same kind taken apart."""
    found: list[Condition] = []
    for part in parts:
        if isinstance(part, kind):
            found += part.parts
        else:
            found.append(part)
    return tuple(found)


def _sum(terms: list[tuple[int, SetOperand]], constant: str, written: int) -> SetValue:
    """A sum in one operation, which is all that an update expression has."""
    if not terms:
        return Literal({"N": constant})
    if written > len(terms):
        terms = [*terms, (1, Literal({"N": constant}))]
    if len(terms) == 2:
        (first, left), (second, right) = terms
        if first > 0:
            return Arithmetic("+" if second > 0 else "-", left, right)
        if second > 0:
            return Arithmetic("-", right, left)
    raise ValidationError("dualwrite does not support sums of more than two attributes in PartiQL")


def bound(parameters: Sequence[AttributeValue], wanted: int) -> Binder:
    """A binder of exactly as many parameters as the statement has, each of them well-formed;
    raises ValidationError."""
    if len(parameters) != wanted:
        raise ValidationError("Number of parameters in request and statement don't match.")
    return Binder(parameters)
