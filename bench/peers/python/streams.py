"""Kafka: one producer for the process, and the loop that every service is."""

import datetime
import decimal
import json
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from kafka import KafkaConsumer, KafkaProducer

import database

SEND_TIMEOUT = 30  # seconds
EVENT_OF_TOPIC = {"orders": "order_placed", "payments": "payment_requested", "notifications": "notification_requested"}

Message = dict[str, Any]
Outgoing = tuple[str, Message]  # topic without prefix, body
Handler = Callable[[psycopg.Connection, Message], list[Outgoing]]


def encode(body: Message) -> bytes:
    return json.dumps(body, default=float).encode()


def decode(value: bytes) -> Message:
    return json.loads(value, parse_float=decimal.Decimal)


class Streams:
    """The connection to Kafka: names, and a producer whose messages are on every in-sync replica once acknowledged."""

    def __init__(self, brokers: list[str], topic_prefix: str, group_prefix: str) -> None:
        self.brokers, self.topic_prefix, self.group_prefix = brokers, topic_prefix, group_prefix
        self.producer = KafkaProducer(
            bootstrap_servers=brokers, acks="all", enable_idempotence=True, value_serializer=encode, key_serializer=str.encode)

    def consumer(self, service: str, topics: list[str]) -> KafkaConsumer:
        return KafkaConsumer(
            *(self.topic_prefix + topic for topic in topics), bootstrap_servers=self.brokers,
            group_id=f"{self.group_prefix}{service}", auto_offset_reset="earliest", enable_auto_commit=False,
            isolation_level="read_committed")

    def send(self, topic: str, body: Message) -> Any:
        """Hands a message to the producer's thread. The future that it returns ends when the broker has it."""
        body["timestamp"] = datetime.datetime.now(datetime.UTC).isoformat()
        return self.producer.send(self.topic_prefix + topic, key=body["order_id"], value=body)

    def close(self) -> None:
        self.producer.flush(SEND_TIMEOUT)
        self.producer.close()


class Service:
    """A service: a name, the topics that it reads, and what it does for each event that is its business."""

    name: str
    topics: list[str]

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.consuming = False

    def handlers(self) -> dict[str, Handler]:
        """Returns, by event, what changes the service's state within a transaction and returns what follows from it."""
        raise NotImplementedError

    def committed(self) -> None:
        """Is called when the message's transaction is."""

    def run(self, stop: threading.Event) -> None:
        """Consumes until stop is set. A message that cannot be handled ends the service: it is read again at the start."""
        consumer = self.streams.consumer(self.name, self.topics)
        try:
            with database.connect(self.name) as connection:
                while not stop.is_set():
                    batch = consumer.poll(timeout_ms=200)
                    self.consuming = bool(consumer.assignment())
                    if batch:
                        self.work(connection, batch)
                        consumer.commit()
        finally:
            consumer.close(autocommit=False)

    def work(self, connection: psycopg.Connection, batch: dict) -> None:
        """Handles what one poll returned, one transaction a message, and waits for the acknowledgements of all."""
        sent, handlers = [], self.handlers()
        for records in batch.values():
            for record in records:
                body = decode(record.value)
                event = body.get("event") or EVENT_OF_TOPIC.get(record.topic.removeprefix(self.streams.topic_prefix), "")
                handle = handlers.get(event)
                if handle is None:
                    continue
                with connection.transaction():
                    following = handle(connection, body)
                self.committed()
                sent += [self.streams.send(topic, message) for topic, message in following]
        if sent:
            self.streams.producer.flush(SEND_TIMEOUT)
        for future in sent:
            future.get(timeout=SEND_TIMEOUT)  # raises when it failed; flush does not
