"""How long a propeller may go on without an answer."""

from typedflow_propeller import lease


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def performs(held: lease.Lease) -> bool:
    return held.is_held


def test_nothing_may_be_performed_before_admin_has_welcomed_us():
    assert not performs(lease.Lease(Clock()))


def test_it_holds_for_half_its_length_after_an_answered_heartbeat_was_sent():
    clock = Clock()
    held = lease.Lease(clock)
    held.begin(10.0)
    assert performs(held)
    clock.now = 104.0
    held.sent()
    clock.now = 106.0
    assert not performs(held)
    held.answered()
    assert performs(held)
    clock.now = 108.9
    assert performs(held)
    clock.now = 109.0
    assert not performs(held)


def test_an_answer_is_to_the_oldest_heartbeat():
    clock = Clock()
    held = lease.Lease(clock)
    held.begin(10.0)
    held.sent()
    clock.now = 104.0
    held.sent()
    clock.now = 105.5
    held.answered()
    assert not performs(held)
    held.answered()
    assert performs(held)
