"""The service that takes orders and keeps the stock."""

import decimal
import uuid
from typing import Any

import psycopg

from streams import Handler, Message, Outgoing, Service

PRICES = "SELECT sku, price_minor FROM inventory WHERE sku = ANY(%s)"
INSERT_ORDER = """INSERT INTO orders (order_id, user_id, total_minor, currency, status)
VALUES (%s, %s, %s, 'USD', 'pending') ON CONFLICT DO NOTHING"""
INSERT_LINE = "INSERT INTO order_lines (order_id, line, sku, quantity, unit_price_minor) VALUES (%s, %s, %s, %s, %s)"
INSERT_EVENT = "INSERT INTO order_events (order_id, number, event, status_from, status_to) VALUES (%s, %s, %s, %s, %s)"
LOCK = "SELECT user_id, total_minor, status, version FROM orders WHERE order_id = %s FOR UPDATE"
LINES = "SELECT sku, quantity FROM order_lines WHERE order_id = %s ORDER BY sku"
ADVANCE = """UPDATE orders SET status = %s, reason = %s, payment_id = %s, version = version + 1, updated_at = now()
WHERE order_id = %s AND status = %s"""
RESERVE = """UPDATE inventory SET available = available - %(quantity)s, reserved = reserved + %(quantity)s
WHERE sku = %(sku)s AND available >= %(quantity)s"""
SELL = "UPDATE inventory SET reserved = reserved - %(quantity)s, sold = sold + %(quantity)s WHERE sku = %(sku)s"
RELEASE = """UPDATE inventory SET reserved = reserved - %(quantity)s, available = available + %(quantity)s
WHERE sku = %(sku)s"""


def dollars(minor: int) -> decimal.Decimal:
    return decimal.Decimal(minor).scaleb(-2)


class Orders(Service):
    name = "orders"
    topics = ["orders", "payments", "order-failures"]

    def place(self, user_id: str, items: list[dict[str, Any]]) -> str:
        """Writes a new order to Kafka and returns its id once the broker has it."""
        order_id = str(uuid.uuid4())
        lines = [{"sku": item["sku"], "quantity": item["quantity"]} for item in items]
        self.streams.send("orders", {"event": "order_placed", "order_id": order_id, "user_id": user_id, "items": lines}
                          ).get(timeout=30)
        return order_id

    def handlers(self) -> dict[str, Handler]:
        return {"order_placed": self.on_placed, "payment_captured": self.on_captured, "payment_failed": self.on_failed}

    def on_placed(self, tx: psycopg.Connection, body: Message) -> list[Outgoing]:
        """Keeps the order, reserves its stock and asks for its payment."""
        order_id, user_id, items = str(body["order_id"]), str(body["user_id"]), body.get("items", [])
        prices = dict(tx.execute(PRICES, ([item["sku"] for item in items],)).fetchall())
        if items:
            total = sum(prices[item["sku"]] * item["quantity"] for item in items)
        else:
            total = int(decimal.Decimal(body["total"]).scaleb(2))
        if tx.execute(INSERT_ORDER, (order_id, user_id, total)).rowcount:
            for number, item in enumerate(items, 1):
                tx.execute(INSERT_LINE, (order_id, number, item["sku"], item["quantity"], prices[item["sku"]]))
            tx.execute(INSERT_EVENT, (order_id, 1, "order_placed", "", "pending"))
            lines = sorted(({"sku": item["sku"], "quantity": item["quantity"]} for item in items), key=lambda line: line["sku"])
            order = {"id": order_id, "user_id": user_id, "total": total, "status": "pending", "version": 1, "lines": lines}
        else:
            order = self.lock(tx, order_id)
        if order["status"] == "pending":
            if not self.reserve(tx, order["lines"]):
                self.advance(tx, order, "order_placed", "rejected", "out_of_stock")
                rejected = {**self.base("order_rejected", order), "total": dollars(order["total"]), "reason": "out_of_stock"}
                return [("order-failures", rejected), self.notice(order, "rejected", "was rejected: out of stock.")]
            self.advance(tx, order, "order_placed", "awaiting_payment")
        elif order["status"] != "awaiting_payment":
            return []
        return [("payments", {**self.base("payment_requested", order), "amount": dollars(order["total"])})]

    def on_captured(self, tx: psycopg.Connection, body: Message) -> list[Outgoing]:
        """Confirms an order that is paid."""
        order = self.lock(tx, body["order_id"])
        if order["status"] == "awaiting_payment":
            self.move(tx, SELL, order["lines"])
            self.advance(tx, order, "payment_captured", "confirmed", payment_id=body["payment_id"])
        elif order["status"] != "confirmed":
            return []
        return [self.notice(order, "confirmed", "confirmed!")]

    def on_failed(self, tx: psycopg.Connection, body: Message) -> list[Outgoing]:
        """Ends an order that could not be paid."""
        order = self.lock(tx, body["order_id"])
        if order["status"] == "awaiting_payment":
            self.move(tx, RELEASE, order["lines"])
            self.advance(tx, order, "payment_failed", "failed", body["reason"])
        elif order["status"] != "failed":
            return []
        return [self.notice(order, "failed", "failed: the payment was not possible.")]

    @staticmethod
    def lock(tx: psycopg.Connection, order_id: str) -> dict[str, Any]:
        row = tx.execute(LOCK, (order_id,)).fetchone()
        if row is None:
            raise LookupError(f"order {order_id} is unknown")
        user_id, total, status, version = row
        return {"id": order_id, "user_id": user_id, "total": total, "status": status, "version": version,
                "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in tx.execute(LINES, (order_id,))]}

    @staticmethod
    def advance(tx: psycopg.Connection, order: dict, event: str, status: str, reason: str = "", payment_id: str = "") -> None:
        tx.execute(ADVANCE, (status, reason, payment_id, order["id"], order["status"]))
        tx.execute(INSERT_EVENT, (order["id"], order["version"] + 1, event, order["status"], status))

    @staticmethod
    def move(tx: psycopg.Connection, sql: str, lines: list[dict]) -> None:
        for line in lines:
            tx.execute(sql, line)

    def reserve(self, tx: psycopg.Connection, lines: list[dict]) -> bool:
        """Takes the pieces of all lines, or of none."""
        for number, line in enumerate(lines):
            if tx.execute(RESERVE, line).rowcount == 0:
                self.move(tx, RELEASE, lines[:number])
                return False
        return True

    @staticmethod
    def base(event: str, order: dict) -> Message:
        return {"event": event, "order_id": order["id"], "user_id": order["user_id"], "currency": "USD"}

    def notice(self, order: dict, kind: str, said: str) -> Outgoing:
        return "notifications", {"event": "notification_requested", "order_id": order["id"], "user_id": order["user_id"],
                                 "message": f"Order {order['id']} {said}", "channel": "email", "kind": kind}
