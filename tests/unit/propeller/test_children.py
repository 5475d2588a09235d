"""Executions that nodes launch: with the real Children, and an admin that may refuse or be away."""

import asyncio
from collections.abc import Callable

import pytest
from typedflow_propeller import children, errands, lease

from tests.unit.propeller import worlds
from typedflow import errors, literals
from typedflow.pb import errors_pb2, events_pb2, identifiers_pb2, literals_pb2, propeller_pb2

PLAN = identifiers_pb2.Identifier(name="other.plan", version="1")
CLAIM = propeller_pb2.Claim(execution_id="e", epoch=7)


class Specs:
    """Gives the same inputs to all."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def inputs(self, unit: int) -> literals_pb2.LiteralMap:
        if self.error is not None:
            raise self.error
        return literals.as_map({"n": literals.from_int(unit)})


class Nursery:
    """Children of one execution, and what is told of them."""

    def __init__(self, admin: worlds.Admin, specs: Specs) -> None:
        self.told: list[events_pb2.Event] = []
        self.failed: list[BaseException] = []
        self.children = children.Children(
            CLAIM,
            admin,
            errands.Errands(admin.in_thread),
            inputs=specs.inputs,
            path=lambda unit: f"n{unit}",
            happened=self.told.append,
            failed=self.failed.append,
        )


@pytest.fixture
def admin():
    return worlds.Admin(None, None, lease.Lease(lambda: 0.0), in_place_of_threads=True)


def raised(admin: worlds.Admin, story: Callable[[Nursery], object], specs: Specs | None = None) -> Nursery:
    async def whole() -> Nursery:
        nursery = Nursery(admin, specs or Specs())
        story(nursery)
        await asyncio.sleep(1_000)
        assert nursery.failed == []
        return nursery

    return worlds.virtually(whole())


def test_a_launch_says_who_asks_for_what_with_which_inputs(admin):
    nursery = raised(admin, lambda n: n.children.launch(3, PLAN))
    (request,) = admin.launched
    assert (request.execution_id, request.epoch, request.node, request.launch_plan) == ("e", 7, "n3", PLAN)
    assert request.inputs.values[0].value.integer == 3
    (event,) = nursery.told
    assert event.child_launched.execution_id == "child-of-n3"
    assert event.child_launched.node == "n3"


def test_a_launch_is_repeated_until_somebody_answers(admin):
    admin.refusals += [errors.ServerUnreachable("gone")] * 20
    nursery = raised(admin, lambda n: n.children.launch(3, PLAN))
    assert len(admin.launched) == 1
    assert [event.WhichOneof("kind") for event in nursery.told] == ["child_launched"]


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (errors.NotFound("there is no such plan"), errors_pb2.ERROR_KIND_USER),
        (errors.StateConflict("too deep", code="NestingTooDeep"), errors_pb2.ERROR_KIND_USER),
        (errors.ServerFailed("a defect"), errors_pb2.ERROR_KIND_SYSTEM),
    ],
)
def test_a_launch_that_is_refused_is_the_end_of_the_child_and_says_why(admin, refusal, kind):
    admin.refusals.append(refusal)
    nursery = raised(admin, lambda n: n.children.launch(3, PLAN))
    (event,) = nursery.told
    error = event.child_ended.error
    assert event.child_ended.execution_id == ""
    assert (error.kind, error.code, error.node) == (kind, refusal.code, "n3")
    assert refusal.message in error.message


def test_a_launch_by_who_holds_the_execution_no_longer_tells_of_nothing(admin):
    admin.refusals.append(errors.StateConflict("another's", code="Fenced"))
    assert raised(admin, lambda n: n.children.launch(3, PLAN)).told == []


def test_inputs_that_are_not_to_be_had_are_the_end_of_the_child(admin):
    gone = errors.IntegrityError("it is gone", code="ObjectMissing")
    nursery = raised(admin, lambda n: n.children.launch(3, PLAN), Specs(gone))
    assert nursery.told[0].child_ended.error.code == "ObjectMissing"
    assert admin.launched == []


def test_an_abort_comes_after_the_launch_however_late_that_is_answered(admin):
    admin.refusals += [errors.ServerUnreachable("gone")] * 3

    def story(nursery: Nursery) -> None:
        nursery.children.launch(3, PLAN)
        nursery.children.stop(3, "aborted")

    nursery = raised(admin, story)
    assert len(admin.launched) == 1
    (request,) = admin.aborted
    assert (request.execution_id, request.epoch, request.node, request.reason) == ("e", 7, "n3", "aborted")
    assert [event.WhichOneof("kind") for event in nursery.told] == ["child_launched"]


def test_an_abort_is_repeated_until_somebody_answers(admin):
    admin.refusals += [errors.ServerUnreachable("gone")] * 20
    raised(admin, lambda n: n.children.stop(3, "aborted"))
    assert len(admin.aborted) == 1


def test_a_defect_ends_the_drive(admin):
    admin.refusals.append(ZeroDivisionError("a defect"))

    async def whole() -> Nursery:
        nursery = Nursery(admin, Specs())
        nursery.children.launch(3, PLAN)
        await asyncio.sleep(1)
        return nursery

    nursery = worlds.virtually(whole())
    assert [type(each) for each in nursery.failed] == [ZeroDivisionError]
    assert nursery.told == []
