"""What every Python client here is asked to do: see clients_test.go. Each line of standard output is one JSON object."""

import json
import sys
import time

BROKERS, PREFIX, ORDER = sys.argv[1:4]
TOPICS = [PREFIX + name for name in ("orders", "payments", "notifications", "order-failures")]
KEYS = ["1001", "ord-1001", "f-1", "Žofie", "7", "01a1fcf9-86cc-799b-8b8b-a86d9314810d"]
PATIENCE = 120


def place(client):
    """The order as README writes it: no key, no headers, no event."""
    return {"order_id": ORDER, "user_id": "u-" + client, "total": 49.99}


def say(**fields):
    print(json.dumps(fields), flush=True)


class Reader:
    """Takes records until the order's end was seen, and fails when that takes too long."""

    def __init__(self):
        self.left = {"order_placed", "payment_requested", "payment_captured", "notification_requested"}
        self.until = time.monotonic() + PATIENCE

    def takes(self, topic, key, headers, value):
        body = json.loads(value)
        if not isinstance(body, dict) or str(body.get("order_id")) != ORDER:
            return
        ce_type = dict(headers or []).get("ce_type", b"").decode()
        say(kind="record", topic=topic.removeprefix(PREFIX), key=key.decode() if key else "", ce_type=ce_type, body=body)
        self.left.discard(body.get("event", "order_placed"))

    def more(self):
        if self.left and time.monotonic() > self.until:
            sys.exit(f"after {PATIENCE} s these were not seen: {sorted(self.left)}")
        return bool(self.left)
