"""As many requests as are answered in time, and no more."""

from __future__ import annotations

import pytest

from gateway.domain.errors import Overloaded
from gateway.services.admission import LEAST, Admission
from gateway.telemetry import Metrics

DEADLINE_S = 2.0


class Queue:
    """A server that answers one request every `service_s`, in the order they came, if it can begin
    within two seconds; and a clock."""

    def __init__(self, service_s: float, admission: Admission | None = None) -> None:
        self.now_s = 0.0
        self.service_s = service_s
        self.admission = admission or Admission(256, Metrics(), 0.5, lambda: self.now_s)
        self.under_way: list[tuple[float, object]] = []
        self.took_s: list[float] = []
        self.refused = 0
        self.late = 0
        self._free_at_s = 0.0

    def offer(self, rate: float, seconds: float) -> None:
        """So many requests a second for so long."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += 1 / rate
            self.finish()
            slot = self.admission.admitted()
            try:
                slot.__enter__()
            except Overloaded:
                self.refused += 1
                continue
            begin_s = max(self._free_at_s, self.now_s)
            if begin_s - self.now_s > DEADLINE_S:
                self.under_way.append((self.now_s + DEADLINE_S, slot))
                self.late += 1
            else:
                self._free_at_s = begin_s + self.service_s
                self.under_way.append((self._free_at_s, slot))
                self.took_s.append(self._free_at_s - self.now_s)
            self.under_way.sort(key=lambda ends: ends[0])

    def finish(self) -> None:
        arrived_s = self.now_s
        while self.under_way and self.under_way[0][0] <= arrived_s:
            self.now_s, slot = self.under_way.pop(0)
            slot.__exit__(None, None, None)  # type: ignore[attr-defined] # a context manager
        self.now_s = arrived_s


@pytest.mark.parametrize("times", [2, 5])
def test_what_is_accepted_in_an_overload_is_answered_in_time(times: int) -> None:
    queue = Queue(service_s=0.01)
    queue.offer(rate=100 * times, seconds=30)
    assert len(queue.took_s) >= 0.99 * 30 * 100  # the server is never idle
    assert queue.late < 100  # of the first ones, when nothing is known yet
    assert max(queue.took_s[-2000:]) < 1.0


def test_a_server_that_keeps_up_is_given_everything() -> None:
    queue = Queue(service_s=0.01)
    queue.offer(rate=90, seconds=20)
    assert queue.refused == 0


def test_slots_come_back_when_the_server_does() -> None:
    queue = Queue(service_s=1.5)
    queue.offer(rate=100, seconds=120)
    refused = queue.refused
    assert refused > 0
    assert len(queue.under_way) <= LEAST
    queue.service_s = 0.001
    queue.offer(rate=1, seconds=30)  # what is under way ends
    queue.refused = 0
    queue.offer(rate=500, seconds=5)
    assert queue.refused == 0


def test_there_are_never_more_slots_than_were_given() -> None:
    queue = Queue(service_s=0.0001)
    queue.offer(rate=1000, seconds=5)
    queue.finish()
    taken = [queue.admission.admitted() for _ in range(256 - len(queue.under_way))]
    for slot in taken:
        slot.__enter__()
    with pytest.raises(Overloaded, match="256"):
        queue.admission.require_room()
