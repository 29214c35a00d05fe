"""Decoding keeps its place: within its time, its memory, and behind the shopper."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from gateway.domain.deadline import Deadline
from gateway.domain.errors import DeadlineExceeded, Overloaded
from gateway.preprocess.image import BYTES_PER_PIXEL, PictureLimits
from gateway.services.encoder import Encoder, TextVectorCache
from gateway.services.pixel_room import PixelRoom
from gateway.telemetry import Metrics, Timings
from tests.fakes import ColourInference, colour_release, picture

RELEASE = colour_release()
SIDE_PX = 100
PICTURE_BYTES = SIDE_PX * SIDE_PX * BYTES_PER_PIXEL
LARGE = picture("red", (SIDE_PX, SIDE_PX))


class CountingRoom(PixelRoom):
    """A room that remembers how many pictures came to it."""

    asked = 0

    @contextmanager
    def reservation(self) -> Iterator[Callable[[int], None]]:
        self.asked += 1
        with super().reservation() as reserve:
            yield reserve


@contextmanager
def encoder(
    room_bytes: int = 10**9, own: ThreadPoolExecutor | None = None
) -> Iterator[tuple[Encoder, CountingRoom]]:
    metrics = Metrics()
    room = CountingRoom(room_bytes)
    with own or ThreadPoolExecutor(2) as workers:
        made = Encoder(
            ColourInference(),
            PictureLimits(),
            workers,
            TextVectorCache(1, metrics),
            room=room,
            bulk_decodes=2,
        )
        yield made, room


async def decoded(made: Encoder, deadline: Deadline) -> object:
    return await made.picture(LARGE, None, RELEASE, deadline, Timings(Metrics()))


def soon() -> Deadline:
    return Deadline.after(10.0)


async def test_pixels_beyond_the_room_are_refused_at_once() -> None:
    with encoder(room_bytes=PICTURE_BYTES + 1) as (made, room):
        with room.reservation() as reserve:
            reserve(2)
            with pytest.raises(Overloaded):
                await decoded(made, soon())
        await decoded(made, soon())


async def test_a_picture_that_is_alone_always_has_room() -> None:
    with encoder(room_bytes=1) as (made, _):
        await decoded(made, soon())
        await decoded(made, soon())


def test_room_that_was_refused_or_given_back_is_free() -> None:
    room = PixelRoom(100)
    for _ in range(1000):
        with room.reservation() as first, room.reservation() as second:
            first(60)
            with pytest.raises(Overloaded):
                second(60)
            second(40)
    with room.reservation() as reserve:
        reserve(100)


async def test_a_picture_of_the_catalogue_waits_for_room() -> None:
    with encoder(room_bytes=PICTURE_BYTES) as (made, room):
        with room.reservation() as reserve:
            reserve(1)
            waiting = asyncio.create_task(made.pixels(LARGE, None, RELEASE))
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            assert not done
        assert (await asyncio.wait_for(waiting, 5.0)).shape == (8, 8, 3)


async def test_a_picture_that_waits_too_long_ends_at_its_deadline_and_is_never_decoded() -> None:
    workers, gate = ThreadPoolExecutor(1), threading.Event()
    workers.submit(gate.wait, 10.0)
    with encoder(own=workers) as (made, room):
        started = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded):
            await decoded(made, Deadline.after(0.1))
        assert asyncio.get_running_loop().time() - started < 0.3
        gate.set()
        await decoded(made, soon())
        assert room.asked == 1


async def test_a_shoppers_picture_is_behind_few_of_the_catalogues() -> None:
    with encoder() as (made, _):
        bulk = [asyncio.create_task(made.pixels(LARGE, None, RELEASE)) for _ in range(300)]
        await asyncio.sleep(0)
        await decoded(made, soon())
        assert sum(task.done() for task in bulk) < 20
        await asyncio.gather(*bulk)
