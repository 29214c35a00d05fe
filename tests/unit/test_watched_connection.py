"""A server is away when it gives no sign of life on two connections, until it gives one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.adapters import watched_connection
from gateway.adapters.watched_connection import WatchedConnection


@dataclass
class Connection:
    """One connection; `dead` ones give no sign whatever the server does."""

    dead: bool = False
    open: bool = True


@dataclass
class Server:
    """A server that is up or not, and what was opened to it."""

    up: bool = True
    asked: int = 0
    opened: list[Connection] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def watched(self) -> WatchedConnection[Connection]:
        return WatchedConnection("the server", self._connect, self._alive, self._close)

    def _connect(self) -> Connection:
        self.opened.append(Connection())
        return self.opened[-1]

    async def _alive(self, connection: Connection) -> bool:
        assert connection.open
        self.asked += 1
        async with self.changed:
            self.changed.notify_all()
        return self.up and not connection.dead

    async def _close(self, connection: Connection, within_s: float) -> None:
        connection.open = False

    async def until_asked(self, times: int) -> None:
        async with self.changed, asyncio.timeout(5):
            await self.changed.wait_for(lambda: self.asked >= times)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_connection, "LOOK_INTERVAL_S", 0.01)


async def settled(watched: WatchedConnection[Connection]) -> None:
    assert watched._looking is not None
    await asyncio.wait_for(watched._looking, 5)


async def test_a_server_that_gives_a_sign_keeps_its_connection() -> None:
    server = Server()
    watched = server.watched()
    watched.suspect()
    await settled(watched)
    assert not watched.away
    assert len(server.opened) == 1
    await watched.close()


async def test_a_server_without_a_sign_is_away_until_it_gives_one() -> None:
    server = Server(up=False)
    watched = server.watched()
    watched.suspect()
    await server.until_asked(4)
    assert watched.away
    server.up = True
    await settled(watched)
    assert not watched.away
    assert len(server.opened) == 2  # one fresh connection, however long it took
    await watched.close()
    assert not any(connection.open for connection in server.opened)


async def test_a_dead_connection_to_a_live_server_is_replaced_and_nothing_is_away() -> None:
    server = Server()
    watched = server.watched()
    server.opened[0].dead = True
    watched.suspect()
    await settled(watched)
    assert not watched.away
    assert watched.current is server.opened[1]
    await watched.close()


async def test_many_suspicions_are_one_look() -> None:
    server = Server()
    watched = server.watched()
    for _ in range(100):
        watched.suspect()
    await settled(watched)
    assert server.asked == 1
    await watched.close()


async def test_a_closed_connection_is_looked_at_no_more() -> None:
    server = Server(up=False)
    watched = server.watched()
    watched.suspect()
    await server.until_asked(3)
    await watched.close()
    asked = server.asked
    watched.suspect()
    await asyncio.sleep(0.05)  # long enough for several looks
    assert server.asked == asked
    assert not any(connection.open for connection in server.opened)
