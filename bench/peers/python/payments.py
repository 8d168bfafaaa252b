"""The service that charges."""

import uuid

import psycopg

from streams import Handler, Message, Outgoing, Service

FRAUD_LIMIT = 900_00  # cents
PAYMENT = "SELECT reason, payment_id FROM payments WHERE order_id = %s"
# The ledger is the provider's: a charge is entered once for each idempotency key.
CHARGE = """INSERT INTO provider_ledger AS l (payment_id, idempotency_key, amount_minor, currency) VALUES (%s, %s, %s, 'USD')
ON CONFLICT (idempotency_key) DO UPDATE SET idempotency_key = l.idempotency_key RETURNING payment_id"""
INSERT = """INSERT INTO payments (order_id, user_id, amount_minor, currency, status, reason, payment_id)
VALUES (%s, %s, %s, 'USD', %s, %s, %s)"""


class Payments(Service):
    name = "payments"
    topics = ["payments"]

    def handlers(self) -> dict[str, Handler]:
        return {"payment_requested": self.on_requested}

    def on_requested(self, tx: psycopg.Connection, body: Message) -> list[Outgoing]:
        """Charges an order once, and returns the messages of the outcome, also for a repeated request."""
        order_id, user_id, amount = str(body["order_id"]), str(body["user_id"]), body["amount"]
        minor = int(amount * 100)
        known = tx.execute(PAYMENT, (order_id,)).fetchone()
        if known:
            reason, payment_id = known
        else:
            reason, payment_id = ("suspected_fraud", "") if minor > FRAUD_LIMIT else ("", self.charge(tx, order_id, minor))
            tx.execute(INSERT, (order_id, user_id, minor, "failed" if reason else "captured", reason, payment_id))
        common = {"order_id": order_id, "user_id": user_id, "currency": "USD"}
        if reason:
            alert = {"event": "notification_requested", "order_id": order_id, "user_id": "security", "channel": "email",
                     "kind": "fraud_alert", "message": f"Order {order_id} looks like fraud."}
            return [("notifications", alert), ("order-failures", {"event": "payment_failed", **common, "total": amount, "reason": reason})]
        return [("payments", {"event": "payment_captured", **common, "amount": amount, "payment_id": payment_id})]

    @staticmethod
    def charge(tx: psycopg.Connection, order_id: str, minor: int) -> str:
        return tx.execute(CHARGE, (str(uuid.uuid4()), order_id, minor)).fetchone()[0]
