"""What the parsers take and refuse. The words were seen on DynamoDB Local, or on AWS by others."""

import pytest

from dualwrite.core.errors import ClientError, ValidationError
from dualwrite.core.expressions import (
    FILTER,
    And,
    Attribute,
    Comparison,
    Function,
    Literal,
    Not,
    Or,
    Size,
    check_item,
    check_placeholders,
    check_unused,
    check_value,
    parse_condition,
    parse_projection,
    parse_update,
)

ONE = {"N": "1"}
VALUES = {":a": ONE, ":s": {"S": "x"}, ":l": {"L": []}, ":t": {"BOOL": True}}


def _message(parse: object, *arguments: object) -> str:
    assert callable(parse)
    with pytest.raises(ValidationError) as caught:
        parse(*arguments)
    return caught.value.message


def test_names_and_values_are_resolved() -> None:
    """A parsed expression holds no placeholder; paths are tuples of names and indexes."""
    parsed = parse_condition(
        "#s = :a AND size(x.#p[3]) > :a", {"#s": "status", "#p": "a.b"}, VALUES
    )
    assert parsed == And(
        (
            Comparison("=", Attribute(("status",)), Literal(ONE)),
            Comparison(">", Size(Attribute(("x", "a.b", 3))), Literal(ONE)),
        )
    )


def test_not_binds_tighter_than_and_and_and_than_or() -> None:
    """Precedence is NOT, AND, OR; nested ANDs and ORs are one flat list."""
    a, b, c = (Comparison("=", Attribute((name,)), Literal(ONE)) for name in "abc")
    assert parse_condition("NOT a = :a and b = :a OR c = :a", None, VALUES) == Or(
        (And((Not(a), b)), c)
    )
    assert parse_condition("a = :a AND (b = :a AND c = :a)", None, VALUES) == And((a, b, c))


def test_parentheses_may_hold_an_operand_or_a_condition() -> None:
    """One pair is free wherever DynamoDB lets it stand."""
    plain = parse_condition("size(a) > :a", None, VALUES)
    assert parse_condition("((size(a)) > (:a))", None, VALUES) == plain
    assert parse_condition("(attribute_exists((a)))") == Function(
        "attribute_exists", (Attribute(("a",)),)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        (" ", 'Syntax error; token: "<EOF>", near: " "'),
        ("a =", 'Syntax error; token: "<EOF>", near: "="'),
        ("a = :a b", 'Syntax error; token: "b", near: ":a b"'),
        ("a == :a", 'Syntax error; token: "=", near: "== :a"'),
        ("a = 'x'", 'Syntax error; token: "\'", near: "= \'x"'),
        ("a[01] = :a", 'Syntax error; token: "1", near: "01]"'),
        ("a AND a = :a", 'Syntax error; token: "AND", near: "a AND a"'),
        ("NOT a", 'Syntax error; token: "<EOF>", near: "a"'),
        ("SET (", 'Syntax error; token: "SET", near: "SET ("'),
        ("((a = :a))", "The expression has redundant parentheses;"),
        ("status = #x", "Attribute name is a reserved keyword; reserved keyword: status"),
        ("foo(status) = :a", "Invalid function name; function: foo"),
        (
            "if_not_exists(a, :a) = :a",
            "The function is not allowed in a condition expression; function: if_not_exists",
        ),
        (
            "size(a)",
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "#x = :a",
            "An expression attribute name used in the document path is not defined; "
            "attribute name: #x",
        ),
        (
            "a = :z",
            "An expression attribute value used in expression is not defined; attribute value: :z",
        ),
        (
            "attribute_exists(:a)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "contains(a)",
            "Incorrect number of operands for operator or function; "
            "operator or function: contains, number of operands: 1",
        ),
        (
            "a < :t",
            "Incorrect operand type for operator or function; "
            "operator or function: <, operand type: BOOL",
        ),
        (
            "begins_with(a, :a)",
            "Incorrect operand type for operator or function; "
            "operator or function: begins_with, operand type: N",
        ),
        (
            "a BETWEEN :a AND :s",
            "The BETWEEN operator requires same data type for lower and upper bounds; "
            "lower bound operand: AttributeValue: {N:1}, "
            "upper bound operand: AttributeValue: {S:x}",
        ),
        (
            "a IN (:a, a)",
            "The first operand must be distinct from the remaining operands for this operator "
            "or function; operator: IN, first operand: [a]",
        ),
        (
            "a[2147483648] = :a",
            "List index is not within the allowable range; index: [2147483648]",
        ),
        (
            "a" + ".a" * 32 + " = :a",
            "The document path has too many nesting levels; nesting levels: 33",
        ),
        (
            "a IN (" + ",".join([":a"] * 101) + ")",
            "The IN operator is provided with too many operands; number of operands: 101",
        ),
        (
            " AND ".join(["a = :a"] * 151),
            "The expression contains too many operators; operator count: 301",
        ),
        (
            "a = :" + "a" * 4092,
            "Expression size has exceeded the maximum allowed size; expression size: 4097",
        ),
    ],
)
def test_a_wrong_condition_is_refused_in_dynamodbs_words(text: str, message: str) -> None:
    """Each mistake has the engine's own wording."""
    said = _message(parse_condition, text, None, VALUES)
    assert said == f"Invalid ConditionExpression: {message}"


def test_the_parameter_is_named_in_the_message() -> None:
    """A filter's error says FilterExpression."""
    said = _message(parse_condition, "a", None, None, FILTER)
    assert said == 'Invalid FilterExpression: Syntax error; token: "<EOF>", near: "a"'


def test_nesting_is_bounded() -> None:
    """No text, however deep, exhausts the stack: it is refused with a ValidationError."""
    for text in ("NOT " * 250 + "a = :a", "(" * 2000 + "a", "size(" * 800 + "a"):
        with pytest.raises(ValidationError):
            parse_condition(text, None, VALUES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        ("SET", 'Syntax error; token: "<EOF>", near: "SET"'),
        ("foo a", 'Syntax error; token: "foo", near: "foo a"'),
        ("SET a = a + a + a", 'Syntax error; token: "+", near: "a + a"'),
        ("SET a = ((:a))", "The expression has redundant parentheses;"),
        ("ADD a b", 'Syntax error; token: "b", near: "a b"'),
        ("REMOVE status", "Attribute name is a reserved keyword; reserved keyword: status"),
        (
            "SET a = :a SET b = :a",
            'The "SET" section can only be used once in an update expression;',
        ),
        (
            "SET a = size(a)",
            "The function is not allowed in an update expression; function: size",
        ),
        (
            "SET a = list_append(list_append(l, l), l)",
            "The function is not allowed to be used this way in an expression; "
            "function: list_append",
        ),
        (
            "SET a = :a + :s",
            "Incorrect operand type for operator or function; "
            "operator or function: +, operand type: S",
        ),
        (
            "ADD a :s",
            "Incorrect operand type for operator or function; "
            "operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "DELETE a :a",
            "Incorrect operand type for operator or function; "
            "operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
        (
            "SET a = if_not_exists(:a, :a)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        (
            "SET m.k = :a, m = :a",
            "Two document paths overlap with each other; must remove or rewrite one of these "
            "paths; path one: [m, k], path two: [m]",
        ),
        (
            "SET a.b = :a REMOVE a[0]",
            "Two document paths conflict with each other; must remove or rewrite one of these "
            "paths; path one: [a, b], path two: [a, [0]]",
        ),
    ],
)
def test_a_wrong_update_is_refused_in_dynamodbs_words(text: str, message: str) -> None:
    """Each mistake has the engine's own wording."""
    said = _message(parse_update, text, None, VALUES)
    assert said == f"Invalid UpdateExpression: {message}"


def test_a_projection_is_a_list_of_paths() -> None:
    """Paths keep their order; overlapping ones are refused."""
    assert parse_projection("a, m.#k[0]", {"#k": "k"}).paths == (("a",), ("m", "k", 0))
    assert _message(parse_projection, "m, m.k").endswith("path one: [m], path two: [m, k]")


def test_unused_placeholders_are_refused_over_all_expressions() -> None:
    """A placeholder must stand in one of the request's expressions."""
    texts = ["a = :a", None, "SET b = :s"]
    check_unused(texts, None, {":a": ONE, ":s": ONE})
    assert _message(check_unused, texts, {"#x": "x"}, {":q": ONE}) == (
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}"
    )
    assert _message(check_unused, texts, None, {":a": ONE, ":q": ONE, ":r": ONE}) == (
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:q, :r}"
    )


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        ({}, None, "ExpressionAttributeNames must not be empty"),
        (
            {"a": "a"},
            None,
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"',
        ),
        (
            {"#a": ""},
            None,
            "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a",
        ),
        (
            {"#a": "\u00e9" * 32768},
            None,
            "ExpressionAttributeNames contains invalid value: "
            "Attribute name is too large, must be less than 65536 bytes for key #a",
        ),
        (
            None,
            {":b": {"N": "x"}},
            "ExpressionAttributeValues contains invalid value: "
            "The parameter cannot be converted to a numeric value: x for key :b",
        ),
    ],
)
def test_placeholders_are_checked_before_expressions(
    names: dict[str, str] | None, values: dict[str, dict[str, str]] | None, message: str
) -> None:
    """Both maps have a form of their own."""
    assert _message(check_placeholders, names, values) == message


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"X": "1"},
        {"S": "a", "N": "1"},
        {"S": 1},
        {"N": 1},
        {"N": " 1"},
        {"N": "NaN"},
        {"N": "1E126"},
        {"N": "1E-131"},
        {"N": "1" * 39},
        {"NULL": False},
        {"NULL": "false"},
        {"BOOL": "on"},
        {"BOOL": 1},
        {"B": "YQ="},
        {"SS": []},
        {"SS": ["a", "a"]},
        {"NS": ["1", "1.0"]},
        {"L": [{}]},
        {"M": {"": ONE}},
        {"M": []},
        "x",
        None,
    ],
)
def test_malformed_values_are_refused(value: object) -> None:
    """Nothing malformed reaches the evaluator, wherever it is nested."""
    with pytest.raises(ClientError):
        check_value(value)
    with pytest.raises(ClientError):
        check_item({"a": {"L": [{"M": {"k": value}}]}})


def test_values_nest_32_levels() -> None:
    """The 32nd level is the last."""
    value: dict[str, object] = {"S": "x"}
    for _ in range(31):
        value = {"L": [value]}
    check_value(value)
    with pytest.raises(ValidationError, match="Nesting Levels"):
        check_value({"L": [value]})


@pytest.mark.parametrize("text", ["-17.4E37", "+3", ".123", "0001.23", "1e+5", "0e1000", "5."])
def test_every_way_to_write_a_number_is_taken(text: str) -> None:
    """AWS takes them all (ScyllaDB Alternator's tests)."""
    check_value({"N": text})
