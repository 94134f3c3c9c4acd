"""The process of a server: uvicorn, with time limits, and an end that answers what is in flight."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dlx.errors import DlxError
from dlx.export.server.guard import Guard

KEEP_ALIVE = 30
HEAD_SECONDS = 15.0  # that the head of a request may take, and a connection before its first one
CONNECTIONS = 512
LINGER = 0.3  # seconds in which an end is announced to who asks, and again for who has just connected


class _Protocol(HttpToolsProtocol):
    """A connection that must send the head of its request within HEAD_SECONDS."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._arm()

    def on_headers_complete(self) -> None:
        self._disarm()
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        if self._limit is None:
            self._arm()
        super().on_message_begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._limit = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.transport.close)

    def _disarm(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


class _Server(uvicorn.Server):
    """It says when it is ready, and ends so that nothing is lost: answers say so before connections close."""

    def __init__(
        self, config: uvicorn.Config, guard: Guard, ready: Callable[[], None], listening: socket.socket
    ) -> None:
        super().__init__(config)
        self._guard, self._ready = guard, ready
        self._listening = listening.dup()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._guard.draining:
            super().handle_exit(sig, frame)
            return
        self._guard.draining = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.sleep(LINGER)  # whoever keeps a connection hears of the end with an answer
        for server in self.servers:
            server.close()
        await self._take_waiting()
        await asyncio.sleep(LINGER)  # whoever has connected by now is answered
        await super().shutdown(sockets)

    async def _take_waiting(self) -> None:
        """Take the connections that nobody has accepted yet: where the socket closes, they would be reset."""
        loop, waiting = asyncio.get_running_loop(), list[socket.socket]()
        self._listening.setblocking(False)
        with contextlib.suppress(OSError):
            while True:
                waiting.append(self._listening.accept()[0])
        self._listening.close()

        def protocol() -> _Protocol:
            return _Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        for one in waiting:
            one.setblocking(False)
            await loop.connect_accepted_socket(protocol, one)


def bound(host: str, port: int) -> socket.socket:
    """A socket at the address; raises DlxError where that is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host.strip("[]"), port))
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        of_port = getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES)
        hint = (
            "--port 0 takes any that is free"
            if of_port
            else "expected an address of this machine, as 127.0.0.1 or 0.0.0.0"
        )
        raise DlxError(f"--host {host} --port {port}: {reason}", hint=hint) from error
    return made


def serve(guard: Guard, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer until a signal asks for the end; what is in flight is answered."""
    config = uvicorn.Config(
        guard, http=_Protocol, ws="none", lifespan="on", log_level="warning", access_log=False, server_header=False,
        date_header=False, timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=30, limit_concurrency=CONNECTIONS,
        proxy_headers=False, backlog=1024,
    )  # fmt: skip
    gc.collect()
    gc.freeze()  # what is there stays: no pass of the collector looks at it again
    _Server(config, guard, ready, listening).run(sockets=[listening])
