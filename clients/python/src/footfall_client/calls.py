"""The calls that both clients answer, and what both are made of."""

import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from footfall_client.courier import Courier
from footfall_client.delivery import Rejection
from footfall_client.events import Kind, new_event
from footfall_client.queues import Bounds, MemoryQueue, Queue
from footfall_client.requests import Endpoint

Sent = TypeVar("Sent")
"""What a call returns: the event's id, or something to await that gives it."""
Fields = Mapping[str, Any]
MIN_QUEUE_BYTES = 1_000_000


class Calls(ABC, Generic[Sent]):
    """One method for each type of event; each returns the event's id once the event waits to be sent.

    The fields are those of Footfall's native API. A call that can be no event raises ValueError on the spot;
    whatever happens later is told by `flush()`, `on_rejected` and the logger `footfall_client`.

    `url`, `key`: the address of Footfall, and a write key.
    `interval_s`: how long an event waits for others to share its request.
    `body_events`, `body_bytes`: the most that one request carries, before compression.
    `queue_bytes`: how much may wait. `when_full` is what a call does then: "drop" the new event, counted and
    logged, or "block" until there is room.
    `directory`: where events wait, so that a killed process loses none; in memory without it.
    `on_rejected`: called with each event that was refused, in the client's own thread.
    `timeout_s`: the longest wait for a connection, and for each piece of an answer.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        interval_s: float = 1.0,
        body_events: int = 500,
        body_bytes: int = 500_000,
        queue_bytes: int = 32_000_000,
        when_full: Literal["drop", "block"] = "drop",
        directory: str | os.PathLike[str] | None = None,
        on_rejected: Callable[[Rejection], None] | None = None,
        timeout_s: float = 10.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        _check("body_events", body_events, 1, 10_000)
        _check("body_bytes", body_bytes, 1, 1_000_000)
        _check("queue_bytes", queue_bytes, MIN_QUEUE_BYTES, 1 << 40)
        bounds = Bounds(body_events, body_bytes, queue_bytes)
        self._blocks = when_full == "block"
        self._courier = Courier(
            Endpoint(url, key, timeout_s=timeout_s, ssl_context=ssl_context),
            lambda: _open_queue(directory, bounds),
            interval_s=interval_s,
            on_rejected=on_rejected,
        )

    def track(
        self,
        user: str | int | None,
        action: str,
        *,
        account: str | int | None = None,
        properties: Fields | None = None,
        anonymous_id: str | None = None,
        context: Fields | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> Sent:
        """The user did this. Without a user, `anonymous_id` says who."""
        return self._send(
            "track",
            user=user,
            action=action,
            account=account,
            properties=properties,
            anonymous_id=anonymous_id,
            context=context,
            time=time,
            id=id,
        )

    def page(
        self,
        user: str | int | None,
        properties: Fields | None = None,
        *,
        action: str | None = None,
        account: str | int | None = None,
        anonymous_id: str | None = None,
        context: Fields | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> Sent:
        """The user saw a page, such as {"url": …, "title": …}; `action` is "viewed page" without one."""
        return self._send(
            "page",
            user=user,
            action=action,
            account=account,
            properties=properties,
            anonymous_id=anonymous_id,
            context=context,
            time=time,
            id=id,
        )

    def screen(
        self,
        user: str | int | None,
        properties: Fields | None = None,
        *,
        action: str | None = None,
        account: str | int | None = None,
        anonymous_id: str | None = None,
        context: Fields | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> Sent:
        """The user saw a screen of an app; `action` is "viewed screen" without one."""
        return self._send(
            "screen",
            user=user,
            action=action,
            account=account,
            properties=properties,
            anonymous_id=anonymous_id,
            context=context,
            time=time,
            id=id,
        )

    def identify(
        self,
        user: str | int | None,
        traits: Fields | None = None,
        *,
        account: str | int | None = None,
        anonymous_id: str | None = None,
        context: Fields | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> Sent:
        """This is known of the user. With `anonymous_id`: that visitor is this user."""
        return self._send(
            "identify",
            user=user,
            traits=traits,
            account=account,
            anonymous_id=anonymous_id,
            context=context,
            time=time,
            id=id,
        )

    def group(
        self,
        account: str | int,
        traits: Fields | None = None,
        *,
        user: str | int | None = None,
        anonymous_id: str | None = None,
        context: Fields | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> Sent:
        """This is known of the account. With `user`: the user belongs to it."""
        return self._send(
            "group",
            account=account,
            traits=traits,
            user=user,
            anonymous_id=anonymous_id,
            context=context,
            time=time,
            id=id,
        )

    def alias(
        self,
        user: str | int,
        previous_id: str | int,
        *,
        context: Fields | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> Sent:
        """Who was `previous_id` so far is this user."""
        return self._send("alias", user=user, previous_id=previous_id, context=context, time=time, id=id)

    def _send(self, kind: Kind, *, time: datetime | None, id: str | None, **fields: Any) -> Sent:
        event_id, event = new_event(kind, time=time, id=id, **fields)
        return self._put(event_id, event)

    @abstractmethod
    def _put(self, event_id: str, event: bytes) -> Sent:
        """Let the event wait to be sent, and return the id."""


def _open_queue(directory: str | os.PathLike[str] | None, bounds: Bounds) -> Queue:
    if directory is None:
        return MemoryQueue(bounds)
    # It locks files, in a way that Windows does not know.
    from footfall_client.disk_queue import DiskQueue

    return DiskQueue(Path(directory), bounds)


def _check(name: str, given: int, least: int, most: int) -> None:
    if not least <= given <= most:
        raise ValueError(f"`{name}` is {given:,}; it can be {least:,} to {most:,}.")
