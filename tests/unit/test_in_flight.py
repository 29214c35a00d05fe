"""Who asks the same at the same moment is answered by one call."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.deadline import Deadline
from gateway.domain.errors import BackendUnavailable, DeadlineExceeded, Overloaded
from gateway.services.in_flight import InFlight


class Calls:
    """Calls that wait for `let_through`, and then fail with `failing` or give their number."""

    def __init__(self) -> None:
        self.let_through = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)
        self.made = 0
        self.failing: Exception | None = None

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        self.arrived.release()
        await self.let_through.wait()
        if self.failing is not None:
            raise self.failing
        return number


def soon() -> Deadline:
    return Deadline.after(10.0)


async def asked(
    in_flight: InFlight[int], calls: Calls, deadline: Deadline, key: str = "red shoe"
) -> int:
    return await in_flight.once(key, calls, deadline)


async def test_everybody_gets_what_one_call_gave() -> None:
    in_flight, calls = InFlight[int](), Calls()
    askers = [asyncio.create_task(asked(in_flight, calls, soon())) for _ in range(100)]
    await calls.arrived.acquire()
    calls.let_through.set()
    assert await asyncio.gather(*askers) == [1] * 100
    assert await asked(in_flight, calls, soon()) == 2  # what is over is not remembered


async def test_other_questions_are_other_calls() -> None:
    in_flight, calls = InFlight[int](), Calls()
    calls.let_through.set()
    answers = [asked(in_flight, calls, soon(), key) for key in ("red", "blue")]
    assert await asyncio.gather(*answers) == [1, 2]


@pytest.mark.parametrize("failing", [Overloaded("full"), BackendUnavailable("away")])
async def test_everybody_hears_of_a_failure_and_nobody_asks_again(failing: Exception) -> None:
    in_flight, calls = InFlight[int](), Calls()
    calls.failing = failing
    askers = [asyncio.create_task(asked(in_flight, calls, soon())) for _ in range(3)]
    await calls.arrived.acquire()
    calls.let_through.set()
    assert await asyncio.gather(*askers, return_exceptions=True) == [failing] * 3
    assert calls.made == 1


async def test_when_the_first_goes_away_the_next_calls() -> None:
    in_flight, calls = InFlight[int](), Calls()
    first = asyncio.create_task(asked(in_flight, calls, soon()))
    await calls.arrived.acquire()
    others = [asyncio.create_task(asked(in_flight, calls, soon())) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    await calls.arrived.acquire()
    calls.let_through.set()
    assert await asyncio.gather(*others) == [2] * 3
    assert first.cancelled()


async def test_the_first_ones_deadline_is_not_the_others() -> None:
    in_flight, calls = InFlight[int](), Calls()
    calls.failing = DeadlineExceeded("too late")
    first = asyncio.create_task(asked(in_flight, calls, soon()))
    await calls.arrived.acquire()
    second = asyncio.create_task(asked(in_flight, calls, soon()))
    await asyncio.sleep(0)
    calls.let_through.set()
    with pytest.raises(DeadlineExceeded):
        await first
    calls.failing = None
    assert await second == 2


async def test_nobody_waits_for_longer_than_it_can() -> None:
    in_flight, calls = InFlight[int](), Calls()
    first = asyncio.create_task(asked(in_flight, calls, soon()))
    await calls.arrived.acquire()
    with pytest.raises(DeadlineExceeded):
        await asked(in_flight, calls, Deadline.after(0.05))
    calls.let_through.set()
    assert await first == 1
