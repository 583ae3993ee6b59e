"""Request and state in, what to send to whom out.

An *action* is the part that a single call and a member of TransactWriteItems share: table, key or
item, expressions. ``leader_action`` puts the guard beside the client's own condition, so that one
conditional write decides both; ``follower_write`` writes the full post-image, never the client's
expression, under the guard alone.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from dualwrite.core.assembling import Action, Expressions, conjunct
from dualwrite.core.derivation import Problem
from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions import (
    Condition,
    Update,
    condition_syntax,
    creates,
    literals_written,
    names_used,
    names_written,
    parse_condition,
    parse_update,
    rename,
    render,
    update_syntax,
    with_set,
)
from dualwrite.core.items import OTHER, STAMP, Item, Key
from dualwrite.core.key_values import check_index_keys
from dualwrite.core.phases import Side
from dualwrite.core.requests import MAKES, Body, Verb, Wish
from dualwrite.core.spec import MigratedTable
from dualwrite.core.transform import Row, translate_key

KEY_NAME = "#dw_key"
STAMP_VALUE = ":dw_stamp"
SEEN_VALUE = ":dw_seen"
OTHER_VALUE = ":dw_other"
OLDER = f"(attribute_not_exists({STAMP}) OR {STAMP} < {STAMP_VALUE})"
"""The guard: nothing newer than this write stands there."""

SURELY_SHORT = 900
"""Characters that hold neither 4 KB nor 300 operators, whatever they say."""
_SYNTAX: Mapping[str, Callable[[str, str], object]] = {
    "ConditionExpression": condition_syntax,
    "UpdateExpression": update_syntax,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a consistent read of the leader showed: the base an evaluated write stands on."""

    exists: bool
    stamp: str | None


# -- keys and names ---------------------------------------------------------------------------


def side_key(wish: Wish, side: Side) -> Key:
    """The wish's key in the words of ``side``; raises ValidationError where it has none."""
    return key_on(wish.table, wish.key, wish.dialect, side)


def key_on(table: MigratedTable, key: Key, dialect: Side, side: Side) -> Key:
    """Translate a client's key; raises ValidationError that names the reason."""
    translated = translate_key(table, key, dialect, side)
    if isinstance(translated, Problem):
        raise refused_problem(table, translated)
    return translated


def refused_problem(table: MigratedTable, problem: Problem) -> ValidationError:
    return ValidationError(
        f"dualwrite cannot place this item in the other design of table {table.name} "
        f"({problem.reason}): {problem.detail}; nothing was written"
    )


def renames(table: MigratedTable) -> Mapping[str, tuple[str | int, ...]]:
    """Where the foreign dialect's swapped names are kept on a side."""
    return {name: (OTHER, name) for name in table.swapped}


def parsed_update(wish: Wish) -> Update:
    """The client's update, parsed; an empty one touches nothing. Raises ValidationError."""
    if wish.meant is not None:
        return wish.meant.update or Update()
    text = wish.update_text
    return parse_update(text, wish.names, wish.values) if text is not None else Update()


def parsed_condition(wish: Wish) -> Condition | None:
    """The client's condition, parsed; None where it has none. Raises ValidationError."""
    if wish.meant is not None:
        return wish.meant.condition
    text = wish.condition_text
    return parse_condition(text, wish.names, wish.values) if text is not None else None


def check_expressions(wish: Wish) -> None:
    """Say what is wrong with the client's own expressions: where the engine refused them, its words
    may be about what the service added. Raises ValidationError."""
    parsed_update(wish)
    parsed_condition(wish)


def needs_evaluation(wish: Wish) -> bool:
    """Whether an update writes what the other dialect derives from or sees differently: then the
    post-image must be known before the write, since the hidden map changes with it."""
    sensitive = wish.table.swapped
    if wish.dialect is Side.OLD:
        sensitive |= wish.table.sources
    return _may_write(wish, sensitive) and bool(sensitive & names_written(parsed_update(wish)))


def is_unjudged(wish: Wish, leader: Side) -> bool:
    """Whether an update may give an index of the client's own table what that cannot hold, and the
    leader, which has other indexes, would take it: then the image must be judged, too."""
    place = wish.table.side(wish.dialect)
    if wish.dialect is leader or not _may_write(wish, place.index_keys):
        return False
    update = parsed_update(wish)
    paths = [action.path for action in update.sets] + [action.path for action in update.adds]
    literals = literals_written(update)
    if not {str(path[0]) for path in paths}.intersection(place.index_keys) <= literals.keys():
        return True
    try:
        check_index_keys(literals, place)
    except ValidationError:
        return True
    return False


def _may_write(wish: Wish, names: Iterable[str]) -> bool:
    """Whether an update could be about one of these names, by a quick look at its text."""
    if wish.meant is not None:
        return True
    words = re.findall(r"\w+", wish.update_text or "")
    return not {*wish.names.values(), *words}.isdisjoint(names)


def only_removes(wish: Wish) -> bool:
    """Whether an update makes no item where none is, which our stamp in it would."""
    if wish.verb is not Verb.UPDATE:
        return False
    if wish.meant is not None:
        return wish.meant.update is not None and not creates(wish.meant.update)
    text = wish.update_text
    return bool(text) and not MAKES.search(text or "")


def outgrows(action: Action) -> bool:
    """Whether what the service adds makes an expression longer than DynamoDB takes it: the
    client's own, of up to 4 KB and 300 operators, is to be accepted all the same."""
    for part, syntax in _SYNTAX.items():
        text = action.get(part)
        if text is not None and len(text) > SURELY_SHORT:
            try:
                syntax(text, part)
            except ValidationError:
                return True
    return False


# -- the leader ------------------------------------------------------------------------------


def client_condition(wish: Wish, side: Side, into: Expressions) -> None:
    """Add the client's own condition in the words of ``side``, safe to be ANDed with."""
    text = wish.condition_text
    if wish.dialect is side and text is not None:
        into.take(wish, text)
        into.require(conjunct(text))
        return
    condition = parsed_condition(wish)
    if condition is None:
        return
    if wish.dialect is side:
        into.require(conjunct(render(condition, into.pool)))
        return
    translated = rename(condition, renames(wish.table), exists=_key_names(wish, side))
    into.require(conjunct(render(translated, into.pool)))
    if OTHER in names_used(translated):
        into.names[KEY_NAME] = wish.table.side(side).keys.hash.name
        into.require(f"(attribute_exists({OTHER}) OR attribute_not_exists({KEY_NAME}))")


def _key_names(wish: Wish, side: Side) -> dict[str, str]:
    """An item has all of its key or does not exist: any key attribute stands for the other's."""
    theirs, ours = wish.table.side(wish.dialect).keys, wish.table.side(side).keys
    return {name: ours.hash.name for name in theirs.names if name in wish.table.swapped}


def leader_action(wish: Wish, side: Side, stamp: str, row: Row | None) -> Action:
    """The client's own operation on the leader, stamped, beside the guard.

    ``row`` is the row of a Put. Raises ValidationError.
    """
    expressions = Expressions()
    if wish.verb is Verb.UPDATE:
        _client_update(wish, side, expressions)
    client_condition(wish, side, expressions)
    if wish.verb is Verb.CHECK:
        return expressions.into(_target(wish, side, row, stamp))
    expressions.require(OLDER)
    expressions.values[STAMP_VALUE] = {"S": stamp}
    if wish.verb is Verb.UPDATE:
        expressions.set(f"{STAMP} = {STAMP_VALUE}")
        if wish.dialect is not side:
            expressions.require(f"attribute_exists({OTHER})")
        elif only_removes(wish):
            expressions.names[KEY_NAME] = wish.table.side(side).keys.hash.name
            expressions.require(f"attribute_exists({KEY_NAME})")
    return expressions.into(_target(wish, side, row, stamp))


def wants_base(wish: Wish, side: Side, item: Item | None) -> bool:
    """Whether a refused update met an item, or no item, on which it must be evaluated: it is in
    the other dialect and there is no map that it could write or keep, or it makes nothing."""
    if wish.verb is not Verb.UPDATE:
        return False
    if wish.dialect is not side:
        return item is None or OTHER not in item
    return item is None and only_removes(wish)


def lacks_map(wish: Wish, side: Side, item: Item | None) -> bool:
    """Whether a write of the other dialect may read names that this item does not hold yet: then
    it must get them first."""
    reads = wish.has_condition or wish.verb is Verb.UPDATE
    foreign = wish.dialect is not side and bool(wish.table.swapped)
    return foreign and reads and item is not None and OTHER not in item


def based_action(wish: Wish, side: Side, stamp: str, seen: Seen, image: Row | None) -> Action:
    """The write on the leader that holds only if its base is still the one that was read.

    ``image`` is a Put's row, or what an update was evaluated to where it changes the hidden map:
    even then the client's expression is sent, never the image, for whoever stamps nothing may
    have written meanwhile what the update does not touch. Raises ValidationError.
    """
    expressions = Expressions()
    if wish.verb is Verb.UPDATE:
        if image is None or wish.dialect is side:
            _client_update(wish, side, expressions)
        else:
            expressions.update = render(_carried_over(wish, side, image), expressions.pool)
        if image is not None and wish.dialect is side:
            expressions.set(f"{OTHER} = {OTHER_VALUE}")
            expressions.values[OTHER_VALUE] = {"M": image.of(side.other)}
        expressions.set(f"{STAMP} = {STAMP_VALUE}")
        expressions.values[STAMP_VALUE] = {"S": stamp}
    client_condition(wish, side, expressions)
    _require_base(expressions, wish.table.side(side).keys.hash.name, seen)
    return expressions.into(_target(wish, side, image if wish.verb is Verb.PUT else None, stamp))


def decided_action(wish: Wish, side: Side, stamp: str, seen: Seen, image: Row | None) -> Action:
    """The write on the leader that was decided here, on its base: for expressions that outgrow
    DynamoDB's limits. The condition was true of the base and the image was made of it, so that
    the base's stamp stands for both. Raises ValidationError."""
    expressions = Expressions()
    _require_base(expressions, wish.table.side(side).keys.hash.name, seen)
    return expressions.into(_target(wish, side, image, stamp))


def _carried_over(wish: Wish, side: Side, image: Row) -> Update:
    """An update that writes its dialect's words of swapped names, for the other side: there those
    change the side's own words and the whole hidden map."""
    update = parsed_update(wish)
    swapped = wish.table.swapped
    kept = Update(
        tuple(action for action in update.sets if action.path[0] not in swapped),
        tuple(path for path in update.removes if path[0] not in swapped),
        tuple(action for action in update.adds if action.path[0] not in swapped),
        tuple(action for action in update.deletes if action.path[0] not in swapped),
    )
    there = rename(kept, renames(wish.table))
    own = image.of(side)
    for name in sorted(swapped - set(wish.table.side(side).keys.names)):
        if name in own:
            there = with_set(there, (name,), own[name])
        else:
            there = replace(there, removes=(*there.removes, (name,)))
    return with_set(there, (OTHER,), {"M": image.of(side.other)})


def absence_check(wish: Wish, side: Side) -> Action:
    """In place of an update that makes no item where none is: the client's condition, and that
    there still is none."""
    expressions = Expressions()
    client_condition(wish, side, expressions)
    _require_base(expressions, wish.table.side(side).keys.hash.name, Seen(False, None))
    return expressions.into(_target(wish, side, None, ""))


def false_check(wish: Wish, side: Side) -> Action:
    """In place of a write whose condition was found false: what holds of no item, so that the
    engine says what else is wrong with its transaction, and shows the item."""
    expressions = Expressions()
    expressions.names[KEY_NAME] = wish.table.side(side).keys.hash.name
    expressions.require(f"attribute_exists({KEY_NAME}) AND attribute_not_exists({KEY_NAME})")
    return expressions.into(_target(wish, side, None, ""))


def _require_base(expressions: Expressions, hash_name: str, seen: Seen) -> None:
    if seen.stamp is not None:
        expressions.values[SEEN_VALUE] = {"S": seen.stamp}
        expressions.require(f"{STAMP} = {SEEN_VALUE}")
        return
    expressions.names[KEY_NAME] = hash_name
    if seen.exists:
        expressions.require(f"attribute_exists({KEY_NAME}) AND attribute_not_exists({STAMP})")
    else:
        expressions.require(f"attribute_not_exists({KEY_NAME})")


def _client_update(wish: Wish, side: Side, into: Expressions) -> None:
    text = wish.update_text
    if wish.dialect is side and text is not None:
        into.take(wish, text)
        into.update = text
        return
    update = parsed_update(wish)
    if update.paths:
        there = update if wish.dialect is side else rename(update, renames(wish.table))
        into.update = render(there, into.pool)


def _target(wish: Wish, side: Side, row: Row | None, stamp: str) -> Action:
    action: Action = {"TableName": wish.table.side(side).name}
    if row is not None:
        action["Item"] = row.stored(side, stamp)
    else:
        action["Key"] = side_key(wish, side)
    action["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return action


# -- the follower ----------------------------------------------------------------------------


def follower_write(wish: Wish, side: Side, stamp: str, row: Row | None) -> Action:
    """The follower's part of a write, unless it holds something newer already: the full image that
    the leader has now, or, where that has none, the mapped key's delete."""
    place: Action = {"Key": side_key(wish, side)} if row is None else {"Item": row.stored(side)}
    assert row is None or row.stamp is not None, "only stamped rows are mirrored"
    return {
        "TableName": wish.table.side(side).name,
        **place,
        "ConditionExpression": OLDER,
        "ExpressionAttributeValues": {STAMP_VALUE: {"S": (row and row.stamp) or stamp}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def call_of(action: Action) -> str:
    """The single call that carries out an action."""
    if "Item" in action:
        return "PutItem"
    return "UpdateItem" if "UpdateExpression" in action else "DeleteItem"


def verb_of(action: Action) -> Verb:
    """The member of TransactWriteItems that carries out an action."""
    if "Item" in action:
        return Verb.PUT
    return Verb.UPDATE if "UpdateExpression" in action else Verb.DELETE


def pass_parameters(body: Body, action: Action) -> Action:
    """Add what a client asked about the reply and what the service wants to know itself."""
    action["ReturnConsumedCapacity"] = body.get("ReturnConsumedCapacity") or "TOTAL"
    if action["ReturnConsumedCapacity"] == "NONE":
        action["ReturnConsumedCapacity"] = "TOTAL"
    if "ReturnItemCollectionMetrics" in body:
        action["ReturnItemCollectionMetrics"] = body["ReturnItemCollectionMetrics"]
    return action
