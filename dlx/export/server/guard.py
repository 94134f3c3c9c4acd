"""What every request passes: who asks, by which name, how much it sends, how long it takes."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY = 16 * 2**20
MOST_READ = 4 * MOST_BODY  # that is read of one that is too large
MOST_BODIES = 256 * 2**20  # bytes of all bodies that are there at a time
SECONDS = 15.0  # that a body may take to arrive
# What a browser that comes from another page is not to do, and what the page of the server may.
HEADERS = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Refusal(Exception):
    """A request that is not answered: its status, and why."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})

    def response(self) -> Response:
        return answer_json({"error": self.message}, self.status, self.headers)


@dataclass(eq=False)
class Guard:
    """An application behind checks. names: that the Host header may have, None for any; token: that must be sent.

    open: paths that need no token. `draining`: connections end with their answer. observe: told of each answer.
    """

    application: ASGIApp
    names: frozenset[str] | None
    token: str | None
    open: frozenset[str]
    observe: Callable[[str, int, float], None]
    draining: bool = False
    bodies: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        scope["dlx.guard"] = self

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = {**HEADERS, **({"connection": "close"} if self.draining else {})}
                message["headers"] += [(name.encode(), value.encode()) for name, value in more.items()]
            await send(message)

        try:
            if (refusal := self._refusal(scope)) is not None:
                await refusal.response()(scope, receive, sent)
                return
            await self.application(scope, receive, sent)
        finally:
            self.observe(str(scope.get("dlx.route", "other")), status, time.perf_counter() - started)

    def _refusal(self, scope: Scope) -> Refusal | None:
        """Why a request is not for this server, or not from whom it may come."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if self.names is not None and name_of(host) not in self.names:
            return Refusal(421, f"no server of the name {host[:100]!r} is here")
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return Refusal(403, "pages of other servers may not ask")
        if self.token is not None and scope["path"] not in self.open:
            kind, _, given = headers.get(b"authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.token.encode()):
                return Refusal(401, "expected the header Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
        return None


def name_of(host: str) -> str:
    """The name in a Host header, without the port and brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).strip("[]").lower().rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_of(host: str) -> frozenset[str] | None:
    """The names by which a server at `host` is asked for; None where these cannot be known."""
    if is_loopback(host):
        return frozenset({"localhost", "127.0.0.1", "::1", host.strip("[]").lower()})
    return None if host in ("0.0.0.0", "::", "[::]", "") else frozenset({host.strip("[]").lower()})


async def with_body(request: Request, then: Callable[[bytes], Awaitable[Response]]) -> Response:
    """What `then` answers to the whole body; raises Refusal for one that is too large, too slow, or one too many.

    One that is too large is read for a while and thrown away: whoever sends it reads the answer only behind it.
    """
    guard: Guard = request.scope["dlx.guard"]
    if (packed := request.headers.get("content-encoding", "identity")) != "identity":
        raise Refusal(415, f"Content-Encoding {packed[:40]!r}: expected a body that is not packed")
    pieces, size, kept = list[bytes](), 0, 0
    try:
        async with asyncio.timeout(SECONDS):
            async for piece in request.stream():
                size += len(piece)
                if size > MOST_BODY:
                    pieces.clear()
                    if size > MOST_READ:
                        break
                    continue
                kept += len(piece)
                guard.bodies += len(piece)
                if guard.bodies > MOST_BODIES:
                    raise Refusal(503, "too much is being sent", {"retry-after": "1", "connection": "close"})
                pieces.append(piece)
        if size > MOST_BODY:
            raise Refusal(413, f"a body may have {MOST_BODY:,} bytes", {"connection": "close"})
        return await then(b"".join(pieces))
    except TimeoutError:
        raise Refusal(408, f"the body took longer than {SECONDS:g} s", {"connection": "close"}) from None
    finally:
        guard.bodies -= kept


def answer_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    body = json.dumps(value, allow_nan=False).encode()
    return Response(body, status, dict(headers or {}), "application/json")
