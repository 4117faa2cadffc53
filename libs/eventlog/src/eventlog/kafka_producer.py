"""The appending half of the Kafka adapter: librdkafka, driven from the event loop.

librdkafka sends and retries on threads of its own; the loop hands messages in and fetches the delivery
reports by a timer, so that no Python runs on another thread. Measured by tests/bench/kafka.py.
"""

import asyncio
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivery

from eventlog.errors import LogBusy, LogUnavailable, UnknownTopic
from eventlog.kafka_admin import log_error
from eventlog.kafka_topics import MAX_BATCH_BYTES
from telemetry.logs import get_logger

_MESSAGE_TIMEOUT_S = 5.0
_AWAY_S = 2.0
# Both measured: half of it costs a third more CPU at 1,000 single events/s for 1 ms less.
_LINGER_MS = 2
_TICK_S = 0.002
_IDLE_TICK_S = 0.25
# What librdkafka and the report's callback hold for a message beside its bytes.
_MESSAGE_OVERHEAD_BYTES = 256

_SILENCE = "no broker answers"

_log = get_logger("eventlog.kafka")


class KafkaAppender:
    """Appends with acks from all in-sync replicas; what waits is bounded by `max_queue_bytes`.

    While the log is away, appends are refused at once but for one at a time, which finds out whether it
    is back.
    """

    def __init__(self, bootstrap: str, max_queue_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_queue_bytes = max_queue_bytes
        self._settings = {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": int(_MESSAGE_TIMEOUT_S * 1000),
            "linger.ms": _LINGER_MS,
            # As eventmodel.part has it.
            "partitioner": "murmur2",
            "compression.type": "lz4",
            "message.max.bytes": MAX_BATCH_BYTES,
            # The bound is kept here, before a call's first message is handed over; these are never reached.
            "queue.buffering.max.kbytes": max(1024, 2 * max_queue_bytes // 1024),
            "queue.buffering.max.messages": 0,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "topic.metadata.refresh.fast.interval.ms": 50,
            "log_level": 0,
            "error_cb": self._on_error,
        }
        self._producer = Producer(self._settings)
        self._retired: list[Producer] = []
        self._broken = False
        self._calls = 0
        self._queued_bytes = 0
        self._heard_at = self._loop.time()
        self._away = False
        self._trouble = _SILENCE
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer = self._loop.call_later(_IDLE_TICK_S, self._poll)

    async def append(self, topic: str, messages: Sequence[tuple[bytes, bytes]], size: int) -> None:
        """As the port says; `size` is the bytes of all keys and values, which the caller has checked."""
        call = self._send(topic, messages, size + len(messages) * _MESSAGE_OVERHEAD_BYTES)
        await call.done

    async def close(self) -> None:
        """Wait for what was handed over, as long as the log may take, and let the connections go."""
        try:
            async with asyncio.timeout(_MESSAGE_TIMEOUT_S + 1):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("appends_abandoned", calls=self._calls)
        self._timer.cancel()
        self._retired.clear()
        # Closing would wait for what no broker has taken.
        self._producer.purge()
        self._producer.close()

    def _send(self, topic: str, messages: Sequence[tuple[bytes, bytes]], size: int) -> "_Call":
        self._refuse_while_away()
        if self._queued_bytes + size > self._max_queue_bytes:
            raise LogBusy("Too much is waiting to be written to the log; try again shortly.")
        if self._broken:
            self._replace()
        call = _Call(self, topic, size, len(messages))
        produce, delivered = self._producer.produce, call.delivered
        sent = 0
        try:
            for key, value in messages:
                produce(topic, value, key, -1, delivered)
                sent += 1
        except (BufferError, KafkaException) as error:
            if not sent:
                raise LogUnavailable(f"Kafka takes no messages: {error}.") from error
            call.cut_short(len(messages) - sent, error)
        self._begin(size)
        return call

    def _begin(self, size: int) -> None:
        self._queued_bytes += size
        self._calls += 1
        if self._calls == 1:
            self._idle.clear()
            self._heard_at = self._loop.time()
            self._timer.cancel()
            self._timer = self._loop.call_later(_TICK_S, self._poll)

    def finished(self, size: int, *, stored: bool) -> None:
        """All of a call's delivery reports are in."""
        self._queued_bytes -= size
        self._calls -= 1
        if not self._calls:
            self._idle.set()
        if stored:
            self._heard_at = self._loop.time()
            self._trouble = _SILENCE
            if self._away:
                self._away = False
                _log.info("log_back")

    def explain(self, error: KafkaError, topic: str) -> LogUnavailable | UnknownTopic:
        """The port's error for a message that was not delivered."""
        if error.code() == KafkaError._MSG_TIMED_OUT:
            return LogUnavailable(
                f"Kafka did not acknowledge within {_MESSAGE_TIMEOUT_S:.0f} s: {self._trouble}."
            )
        self._broken |= error.fatal()
        return log_error(error, topic)

    def _refuse_while_away(self) -> None:
        if self._calls and not self._away and self._loop.time() - self._heard_at > _AWAY_S:
            # Reports may be waiting here because the event loop stood still, not the log.
            self._producer.poll(0)
            self._away = self._calls > 0 and self._loop.time() - self._heard_at > _AWAY_S
            if self._away:
                _log.warning("log_away", reason=self._trouble)
        if not self._calls:
            return
        if self._away:
            raise LogUnavailable(f"Kafka does not acknowledge what is written: {self._trouble}.")

    def _poll(self) -> None:
        try:
            for producer in [self._producer, *self._retired]:
                producer.poll(0)
            self._retired = [producer for producer in self._retired if len(producer)]
        finally:
            self._timer = self._loop.call_later(_TICK_S if self._calls else _IDLE_TICK_S, self._poll)

    def _on_error(self, error: KafkaError) -> None:
        self._trouble = error.str()
        if error.fatal():
            self._broken = True
            _log.error("producer_broken", reason=error.str())

    def _replace(self) -> None:
        """An idempotent producer that met a fatal error never sends again: what it holds fails, a new one goes on."""
        self._producer.purge()
        self._retired.append(self._producer)
        self._producer = Producer(self._settings)
        self._broken = False


class _Call:
    """One append: counts its delivery reports. One object and one callback, however many messages."""

    __slots__ = ("_appender", "_error", "_left", "_size", "_topic", "done")

    def __init__(self, appender: KafkaAppender, topic: str, size: int, messages: int) -> None:
        self._appender = appender
        self._topic = topic
        self._size = size
        self._left = messages
        self._error: LogUnavailable | UnknownTopic | None = None
        self.done = asyncio.get_running_loop().create_future()

    def delivered(self, error: KafkaError | None, _: Delivery) -> None:
        if error is not None:
            self._error = self._appender.explain(error, self._topic)
        self._left -= 1
        if not self._left:
            self._finish()

    def cut_short(self, unsent: int, error: Exception) -> None:
        """The last `unsent` messages were not taken; those before are on their way."""
        self._error = LogUnavailable(f"Kafka took only a part of the messages: {error}.")
        self._left -= unsent

    def _finish(self) -> None:
        self._appender.finished(self._size, stored=self._error is None)
        if self.done.done():
            return
        if self._error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(self._error)
