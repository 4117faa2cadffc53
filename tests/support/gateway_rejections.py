"""Rejections of a running gateway, and what is asked about them, for tests."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx

from eventlog.port import Message
from eventmodel import Event, RejectedRecord, Sender, new_event_id, topics, wire
from eventmodel.wire import body_fields, encode, record_key
from log_reading import read_all
from running_gateway import NOW, Gateway

SENDER = Sender(key="kaaaaaaaaaaa", sdk="analytics-node/2.1.0")
MISNAMED = {"userId": "ada", "account": "acme", "action": "opened report"}


async def refuse(gateway: Gateway, body: object = None, **fields: Any) -> str:
    """Append a rejection; its id."""
    raw = body if isinstance(body, bytes) else json.dumps(MISNAMED if body is None else body).encode()
    values: dict[str, Any] = {
        "id": new_event_id(),
        "project": gateway.project.project,
        "received_at": NOW - timedelta(minutes=10),
        "source": "ingest",
        "code": "unknown_field",
        "message": "There is no field `userId`.",
        "place": {"path": "/v1/events", "index": 0},
        "field": "userId",
        "hint": 'Call it "user".',
        "sender": SENDER,
    }
    record = RejectedRecord(**(values | body_fields(raw, 16 * 1024) | fields))
    key = record_key(record.project, f"e:{record.id}")
    await gateway.log.append(topics.REJECTED, [Message(key, encode(record))])
    return record.id


async def rejected(gateway: Gateway, **params: Any) -> list[dict[str, Any]]:
    await gateway.settled()
    items: list[dict[str, Any]] = (await gateway.get("/v1/rejected", **params))["items"]
    return items


async def post(gateway: Gateway, path: str, body: Any = None) -> httpx.Response:
    await gateway.settled()
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return await gateway.client.post(f"/v1/rejected{path}", content=content)


async def events(gateway: Gateway, topic: str = topics.EVENTS) -> list[Event]:
    number = sum(await gateway.log.heads(topic))
    return [wire.decode(record.value) for record in await read_all(gateway.log, topic, number)]


async def activities(gateway: Gateway) -> int:
    await gateway.settled()
    answer = await gateway.client.get("/v1/accounts/acme")
    return answer.json()["activities"] if answer.status_code == 200 else 0


async def until_empty(gateway: Gateway, *tables: str) -> None:
    async with asyncio.timeout(20):
        for table in tables:
            while await gateway.pool.fetchval(f"select exists (select from gateway.{table})"):
                await asyncio.sleep(0.05)
