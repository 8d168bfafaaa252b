"""The service that sends emails: lines on standard output."""

import datetime
import json
import threading

import psycopg

from streams import Handler, Message, Outgoing, Service, Streams

INSERT = """INSERT INTO notifications (message_id, order_id, kind, user_id, message) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT ON CONSTRAINT notification_once_per_order_and_kind DO NOTHING"""


class Notifications(Service):
    name = "notifications"
    topics = ["notifications"]

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams)
        self.lock = threading.Lock()
        self.count, self.last = 0, ""
        self.just_sent = ""

    def handlers(self) -> dict[str, Handler]:
        return {"notification_requested": self.on_requested}

    def on_requested(self, tx: psycopg.Connection, body: Message) -> list[Outgoing]:
        """Sends an email, once unless the process dies between the email and the commit."""
        order_id, kind, user_id = str(body["order_id"]), body.get("kind", ""), str(body["user_id"])
        self.just_sent = ""
        if tx.execute(INSERT, (f"{order_id}.{kind}", order_id, kind, user_id, body["message"])).rowcount:
            self.just_sent = datetime.datetime.now(datetime.UTC).isoformat()
            print(json.dumps({"order_id": order_id, "kind": kind, "user_id": user_id, "message": body["message"],
                              "time": self.just_sent}), flush=True)
        return []

    def committed(self) -> None:
        if self.just_sent:
            with self.lock:
                self.count, self.last = self.count + 1, self.just_sent
            self.just_sent = ""

    def sent(self) -> dict:
        with self.lock:
            return {"count": self.count, "last": self.last or "0001-01-01T00:00:00Z"}
