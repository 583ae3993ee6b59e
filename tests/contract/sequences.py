"""Hypothesis strategies for requests that have much to do with each other, right ones and wrong.

A request is an operation and its parameters, in the words of one dialect. Left out is only where
DynamoDB Local is known to differ from AWS, whose ways the proxy has: an update that only removes
makes no item, an attribute update without an action is a PUT, and UPDATED_* of a nested path.
"""

import re
from typing import Any

from hypothesis import strategies as st

from tests.contract.twins import Twin

Request = tuple[str, dict[str, Any]]

TENANTS = ("acme-prod", "bolt-prod")
VALUES: dict[str, dict[str, Any]] = {
    ":one": {"N": "1"},
    ":two": {"N": "2.50"},
    ":a": {"S": "a"},
    ":empty": {"S": ""},
    ":set": {"SS": ["a", "b"]},
    ":numbers": {"NS": ["1", "2"]},
    ":list": {"L": [{"N": "1"}, {"S": "x"}]},
    ":map": {"M": {"k": {"S": "v"}, "n": {"N": "1"}}},
    ":null": {"NULL": True},
}
NAMES = {"#status": "status", "#dotted": "x.y", "#v": "v"}
CONDITIONS = (
    *("attribute_exists(v)", "attribute_not_exists(v)", "v = :one", "v <> :one", "#v < :two"),
    *("v = :one OR attribute_not_exists(ss)", "contains(ss, :a)", "size(s) > :one"),
    *("begins_with(s, :a) AND NOT v = :two", "v BETWEEN :one AND :two", "s IN (:a, :empty)"),
    *("attribute_type(l, :a)", "m.k = :a", "l[0] = :one", "#status = :a", "#dotted <> :null"),
    *("endpoint_id = :tenant", "attribute_exists(endpoint_id)", "(v = :one) OR (v = :two)"),
    *("v = ", "v = :missing", "nope(v)", "status = :a", "((v = :one))", "begins_with(v, :one)"),
    *(
        "v = v",
        "size(v)",
        "",
        "v BETWEEN :two AND :one",
        "#missing = :one",
        "v = :one) OR (v = :two",
    ),
)
KEY_UPDATE = "SET note_id = :a"
"""Drawn without a condition: DynamoDB Local decides that first, though no item could make the
update right."""
UPDATES = (
    *("SET v = :one", "SET v = if_not_exists(v, :one) + :two", "ADD v :one", "ADD ss :set"),
    *("SET w = :one DELETE ss :set", "SET l = list_append(if_not_exists(l, :list), :list)"),
    *("SET m = :map, #status = :a", "SET s = :a REMOVE v", "SET #dotted = :null REMOVE l, m"),
    *("SET v = v + :one", "SET s = s, v = :two", "ADD v :one, n :two", "ADD s :one"),
    *("SET v", "SET v = :missing", "SET v = :one, v = :two", KEY_UPDATE, "ADD v :a", ""),
    *(
        "SET v = :one SET w = :one",
        "SET v = nope(v)",
        "SET v = :a + :one",
        "FOO v",
        "SET l = :list",
    ),
)
NESTED = ("SET m.k = :one", "SET l[1] = :a", "SET w = :one REMOVE l[0], m.n", "ADD m.n :one")
PROJECTIONS = (
    "v",
    "v, s, note_id",
    "m.k, l[1]",
    "#status, #dotted",
    "endpoint_id",
    "v, v",
    "v,",
    "",
)
RETURNS = ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW", "NOPE")
OPERATORS = (
    *("EQ", "NE", "LT", "LE", "GT", "GE", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH", "NULL"),
    *("NOT_NULL", "IN", "BETWEEN"),
)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "v": st.sampled_from([{"N": "1"}, {"N": "2.5"}, {"N": "1E3"}, {"S": "a"}]),
        "s": st.sampled_from([{"S": "a"}, {"S": "abc"}, {"S": ""}]),
        "ss": st.sampled_from([{"SS": ["a"]}, {"SS": ["b", "a"]}, {"N": "1"}]),
        "l": st.sampled_from([{"L": []}, {"L": [{"N": "1"}, {"N": "2"}]}]),
        "m": st.sampled_from([{"M": {}}, {"M": {"k": {"S": "a"}, "n": {"N": "1"}}}]),
        "status": st.just({"S": "a"}),
        "wrong": st.sampled_from([{"SS": []}, {"N": "x"}, {}, {"S": "fine"}, {"S": "fine"}]),
    },
)
values = st.sampled_from([VALUES[name] for name in (":one", ":two", ":a", ":set", ":null")])


@st.composite
def expressions(draw: st.DrawFn, twin: Twin, given: dict[str, str]) -> dict[str, Any]:
    """Expression parameters with the names and values they use, and seldom one more."""
    text = " ".join(given.values())
    known = {**VALUES, ":tenant": twin.note()["endpoint_id"]}
    used = {name: known[name] for name in re.findall(r":\w+", text) if name in known}
    names = {name: NAMES[name] for name in re.findall(r"#\w+", text) if name in NAMES}
    if draw(st.integers(0, 19)) == 0 and "ProjectionExpression" not in given:
        used[":unused"] = {"N": "1"}
    request: dict[str, Any] = dict(given)
    if used:
        request["ExpressionAttributeValues"] = used
    if names:
        request["ExpressionAttributeNames"] = names
    return request


@st.composite
def expectations(draw: st.DrawFn) -> dict[str, Any]:
    """Members of Expected, or of a filter, seldom wrong in themselves."""
    asked = {}
    for name in draw(st.lists(st.sampled_from(["v", "s", "ss", "absent"]), min_size=1, max_size=2)):
        operator = draw(st.sampled_from(OPERATORS))
        count = {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2}.get(operator, 1)
        count += draw(st.integers(0, 19)) == 0
        asked[name] = {
            "ComparisonOperator": operator,
            "AttributeValueList": draw(st.lists(values, min_size=count, max_size=count)),
        }
    return asked


@st.composite
def conditioned(draw: st.DrawFn, twin: Twin, given: dict[str, str]) -> dict[str, Any]:
    """The parameters of a single write's condition and replies; ``given``: its other expression."""
    kind = draw(st.sampled_from(["none", "none", "modern", "modern", "legacy"]))
    if given.get("UpdateExpression") == KEY_UPDATE:
        kind = "none"
    parameters: dict[str, Any] = {}
    if kind == "modern":
        given = {**given, "ConditionExpression": draw(st.sampled_from(CONDITIONS))}
    elif kind == "legacy" and not given:
        parameters["Expected"] = draw(expectations())
        if len(parameters["Expected"]) > 1 or draw(st.integers(0, 9)) == 0:
            parameters["ConditionalOperator"] = draw(st.sampled_from(["AND", "OR"]))
    parameters |= draw(expressions(twin, given))
    if draw(st.booleans()):
        parameters["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return parameters


@st.composite
def attribute_updates(draw: st.DrawFn) -> dict[str, Any]:
    """AttributeUpdates, at least one of which puts something."""
    updates = {"w": {"Action": "PUT", "Value": {"N": "1"}}}
    for name in draw(st.lists(st.sampled_from(["v", "s", "ss", "l"]), max_size=2)):
        update: dict[str, Any] = {"Action": draw(st.sampled_from(["PUT", "ADD", "DELETE"]))}
        if update["Action"] != "DELETE" or draw(st.booleans()):
            update["Value"] = draw(values | st.just(VALUES[":list"]))
        updates[name] = update
    return updates


@st.composite
def writes(draw: st.DrawFn, twin: Twin) -> Request:
    """One PutItem, UpdateItem or DeleteItem."""
    table, item, key = draw(places(twin))
    operation = draw(st.sampled_from(["put_item", "update_item", "update_item", "delete_item"]))
    request: dict[str, Any] = {"TableName": twin.name(table)}
    given: dict[str, str] = {}
    returns = draw(st.sampled_from(RETURNS))
    if operation == "put_item":
        request["Item"] = {**item, **draw(attributes)}
    else:
        request["Key"] = key
    if operation == "update_item":
        if draw(st.integers(0, 3)) == 0:
            request["AttributeUpdates"] = draw(attribute_updates())
        else:
            nested = NESTED if not returns.startswith("UPDATED") else ()
            given["UpdateExpression"] = draw(st.sampled_from(UPDATES + nested))
    if draw(st.integers(0, 2)):
        request["ReturnValues"] = returns
    if "AttributeUpdates" not in request:
        request |= draw(conditioned(twin, given))
    return operation, request


@st.composite
def places(draw: st.DrawFn, twin: Twin) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A table, an item's keys and derived attributes, and its key, seldom a wrong one."""
    number, tenant = draw(st.integers(1, 3)), draw(st.sampled_from(TENANTS))
    if draw(st.booleans()):
        table, item, key = "notes", twin.note(number, tenant), twin.note_key(number, tenant)
    else:
        table, item, key = "tasks", twin.task(number, tenant), twin.task_key(number)
    if draw(st.integers(0, 29)) == 0:
        name = draw(st.sampled_from(sorted(key)))
        wrong = draw(st.sampled_from([None, {"N": "1"}, {"S": ""}]))
        item, key = dict(item), dict(key)
        for target in (item, key):
            target.pop(name)
            if wrong is not None:
                target[name] = wrong
    return table, item, key


@st.composite
def gets(draw: st.DrawFn, twin: Twin) -> Request:
    """One GetItem."""
    table, _, key = draw(places(twin))
    request: dict[str, Any] = {"TableName": twin.name(table), "Key": key, "ConsistentRead": True}
    match draw(st.sampled_from(["whole", "modern", "legacy"])):
        case "modern":
            given = {"ProjectionExpression": draw(st.sampled_from(PROJECTIONS))}
            request |= draw(expressions(twin, given))
        case "legacy":
            request["AttributesToGet"] = draw(
                st.lists(st.sampled_from(["v", "s", "m"]), min_size=1)
            )
    return "get_item", request


@st.composite
def searches(draw: st.DrawFn, twin: Twin) -> Request:
    """One Query, or a Scan of all there is."""
    table, _, key = draw(places(twin))
    request: dict[str, Any] = {"TableName": twin.name(table), "ConsistentRead": True}
    legacy, scan = draw(st.booleans()), draw(st.integers(0, 3)) == 0
    given: dict[str, str] = {}
    hash_name = next(iter(key))
    if not scan and legacy:
        request["KeyConditions"] = {
            hash_name: {"ComparisonOperator": "EQ", "AttributeValueList": [key[hash_name]]}
        }
    if legacy and draw(st.booleans()):
        request["ScanFilter" if scan else "QueryFilter"] = draw(expectations())
    elif not legacy and draw(st.booleans()):
        given["FilterExpression"] = draw(st.sampled_from(CONDITIONS))
    request |= draw(expressions(twin, given))
    if not scan and not legacy:
        request["KeyConditionExpression"] = "#hash = :hash"
        request.setdefault("ExpressionAttributeNames", {})["#hash"] = hash_name
        request.setdefault("ExpressionAttributeValues", {})[":hash"] = key[hash_name]
    if draw(st.booleans()):
        request["Select"] = draw(st.sampled_from(["COUNT", "ALL_ATTRIBUTES", "NOPE"]))
    if not scan:
        request["ScanIndexForward"] = draw(st.booleans())
        if draw(st.integers(0, 3)) == 0:
            request["Limit"] = draw(st.integers(0, 2))
    return "scan" if scan else "query", request


@st.composite
def batches(draw: st.DrawFn, twin: Twin) -> Request:
    """One BatchWriteItem or BatchGetItem, seldom with a key twice."""
    members: dict[str, list[Any]] = {}
    reads = draw(st.booleans())
    for _ in range(draw(st.integers(1, 4))):
        table, item, key = draw(places(twin))
        if reads:
            member: Any = key
        elif draw(st.booleans()):
            member = {"PutRequest": {"Item": {**item, **draw(attributes)}}}
        else:
            member = {"DeleteRequest": {"Key": key}}
        members.setdefault(twin.name(table), []).append(member)
    if reads:
        asked = {name: {"Keys": keys, "ConsistentRead": True} for name, keys in members.items()}
        return "batch_get_item", {"RequestItems": asked}
    return "batch_write_item", {"RequestItems": members}


@st.composite
def transactions(draw: st.DrawFn, twin: Twin) -> Request:
    """One TransactWriteItems of right members whose conditions may be false."""
    members = []
    right = [text for text in CONDITIONS[:16] if "attribute_type" not in text]
    for number in draw(st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True)):
        key = twin.task_key(number)
        member: dict[str, Any] = {"TableName": twin.name("tasks")}
        given: dict[str, str] = {}
        verb = draw(st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"]))
        if verb == "Put":
            member["Item"] = twin.task(number, v={"N": "1"})
        else:
            member["Key"] = key
        if verb == "Update":
            given["UpdateExpression"] = draw(st.sampled_from(UPDATES[:3]))
        if verb == "ConditionCheck" or draw(st.booleans()):
            given["ConditionExpression"] = draw(st.sampled_from(right))
        text = " ".join(given.values())
        used = {name: VALUES[name] for name in re.findall(r":\w+", text)}
        names = {name: NAMES[name] for name in re.findall(r"#\w+", text)}
        member |= given
        if used:
            member["ExpressionAttributeValues"] = used
        if names:
            member["ExpressionAttributeNames"] = names
        if draw(st.booleans()):
            member["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        members.append({verb: member})
    return "transact_write_items", {"TransactItems": members}


def sequences(twin: Twin) -> st.SearchStrategy[list[Request]]:
    """Sequences of requests on few keys, so that they meet each other's items."""
    request = st.one_of(
        writes(twin), writes(twin), writes(twin), gets(twin), searches(twin), batches(twin),
        transactions(twin),
    )  # fmt: skip
    return st.lists(request, min_size=4, max_size=10)
