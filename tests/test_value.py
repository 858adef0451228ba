"""Frozen values behave as those of the standard decorator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from functools import cached_property
from typing import Any, get_type_hints

import pytest

from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import Memory
from controller.plan.report.rows import ListedDocument, ShownExplanation
from controller.value import dataclass, types_of


def _declared(decorator: Callable[..., Any]) -> tuple[Any, Any, Any]:
    @decorator(frozen=True, slots=True)
    class Base:
        name: str
        size: int = 1
        labels: Mapping[str, int] = field(default_factory=dict)
        note: str = field(default="", compare=False)
        hidden: str = field(default="", repr=False, kw_only=True)

    @decorator(frozen=True, slots=True)
    class Derived(Base):
        """Adds a field, and one that it computes."""

        extra: tuple[int, ...] = ()
        made: list[int] = field(init=False, default_factory=list)
        computed: str = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "computed", self.name * 2)

    @decorator(frozen=True, slots=True, eq=False)
    class ByIdentity:
        name: str

    return Base, Derived, ByIdentity


_OURS, _STANDARD = _declared(dataclass), _declared(dataclasses.dataclass)
_BOTH = pytest.mark.parametrize(("base", "derived", "by_identity"), [_OURS, _STANDARD], ids=["ours", "standard"])


@_BOTH
class TestAValue:
    def test_has_defaults_and_computed_fields(self, base: Any, derived: Any, by_identity: Any) -> None:
        value = derived("a", extra=(2,), hidden="h")
        assert (value.size, value.labels, value.extra, value.made, value.computed) == (1, {}, (2,), [], "aa")
        assert derived("a").made is not derived("a").made
        assert base("a").labels is not base("a").labels

    def test_is_equal_to_the_same_value_of_its_class(self, base: Any, derived: Any, by_identity: Any) -> None:
        assert base("a", note="one") == base("a", note="two")
        assert base("a") != base("b")
        assert base("a") != derived("a")
        assert base("a") != ("a", 1, {}, "")
        assert by_identity("a") != by_identity("a")
        assert len({by_identity("a"), by_identity("a")}) == 2

    def test_has_the_hash_of_the_fields_that_are_compared(self, base: Any, derived: Any, by_identity: Any) -> None:
        assert hash(base("a", 2, ())) == hash(base("a", 2, (), "note")) == hash(("a", 2, (), ""))
        with pytest.raises(TypeError):
            hash(base("a"))  # A dictionary has none.

    def test_cannot_be_changed(self, base: Any, derived: Any, by_identity: Any) -> None:
        value = derived("a")
        with pytest.raises(FrozenInstanceError, match="cannot assign to field 'size'"):
            value.size = 2
        with pytest.raises(FrozenInstanceError, match="cannot delete field 'size'"):
            del value.size
        with pytest.raises((AttributeError, TypeError)):  # The standard one fails itself.
            value.unknown = 2

    def test_is_shown_with_its_fields(self, base: Any, derived: Any, by_identity: Any) -> None:
        assert repr(base("a", hidden="h")).endswith("Base(name='a', size=1, labels={}, note='')")

    def test_is_replaced_and_listed(self, base: Any, derived: Any, by_identity: Any) -> None:
        changed = replace(base("a"), size=3, hidden="h")
        assert asdict(changed) == {"name": "a", "size": 3, "labels": {}, "note": "", "hidden": "h"}
        assert [each.name for each in fields(derived)][-3:] == ["extra", "made", "computed"]
        match changed:
            case base(name, size):
                assert (name, size) == ("a", 3)

    def test_can_be_copied(self, base: Any, derived: Any, by_identity: Any) -> None:
        value = derived("a", labels={"b": 1})
        assert deepcopy(value) == value
        assert deepcopy(value).labels is not value.labels

    def test_names_what_is_missing(self, base: Any, derived: Any, by_identity: Any) -> None:
        with pytest.raises(TypeError, match=r"Base\.__init__\(\) missing 1 required positional argument: 'name'"):
            base()
        with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
            derived("a", other=1)
        with pytest.raises(TypeError, match="positional argument"):
            base("a", 1, {}, "", "hidden")


@pytest.mark.parametrize("decorator", [dataclass, dataclasses.dataclass], ids=["ours", "standard"])
@pytest.mark.parametrize("slots", [True, False])
def test_a_class_that_can_change_has_equality_and_no_hash(decorator: Any, slots: bool) -> None:
    class Counter:
        count: int = 0
        names: list[str] = field(default_factory=list)

    kind: Any = decorator(slots=slots)(Counter)
    counter = kind()
    counter.count += 1
    assert counter == deepcopy(counter) == kind(1)
    assert repr(counter).endswith("Counter(count=1, names=[])")
    assert hasattr(counter, "__dict__") != slots
    with pytest.raises(TypeError, match="unhashable"):
        hash(counter)


@pytest.mark.parametrize("decorator", [dataclass, dataclasses.dataclass], ids=["ours", "standard"])
def test_a_frozen_class_without_slots_can_keep_what_it_computed(decorator: Any) -> None:
    class Square:
        side: int

        @cached_property
        def area(self) -> int:
            return int(self.side**2)

    kind: Any = decorator(frozen=True)(Square)
    square = kind(3)
    assert (square.area, vars(square), hash(square)) == (9, {"side": 3, "area": 9}, hash((3,)))
    assert square == deepcopy(square) == kind(3)
    with pytest.raises(FrozenInstanceError):
        square.side = 4


def test_a_class_with_an_order_is_the_standard_one() -> None:
    @dataclass(frozen=True, slots=True, order=True)
    class Place:
        line: int

    assert Place(1) < Place(2)


def test_the_initializer_is_compiled_at_the_first_use() -> None:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int

    shared = Point.__dict__["__init__"]
    assert Point(1).x == 1
    assert Point.__dict__["__init__"] is not shared


def test_a_class_with_one_field_or_none_has_equality_and_a_hash() -> None:
    @dataclass(frozen=True, slots=True)
    class One:
        x: int

    @dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    assert (One(1) == One(1), One(1) == One(2), hash(One(1)), hash(Nothing())) == (True, False, hash((1,)), hash(()))
    assert Nothing() == Nothing()


def test_the_types_of_the_fields_are_those_of_the_annotations() -> None:
    for kind in (ShownExplanation, Memory, LedgerClock, ListedDocument):
        assert types_of(kind) == {each.name: get_type_hints(kind)[each.name] for each in fields(kind)}
