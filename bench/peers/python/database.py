"""Postgres: the tables of both peers, connections, and a count of what happened."""

import os
import pathlib

import psycopg

SHARED = pathlib.Path(__file__).resolve().parent.parent / "idiomatic"  # both peers have the same tables


def connect(service: str) -> psycopg.Connection:
    """Opens a connection with the service's schema in front. Each `with connection.transaction()` is one transaction."""
    return psycopg.connect(os.environ["DATABASE_ADMIN_URL"], autocommit=True, application_name=f"python-{service}",
                           options=f"-c search_path={service}")


def make_schema() -> None:
    """Makes the tables unless they are there. Processes that start at the same time wait for each other."""
    with psycopg.connect(os.environ["DATABASE_ADMIN_URL"]) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('peers.python.schema', 0))")
        connection.execute((SHARED / "schema.sql").read_text())


def audit() -> dict:
    """Counts what the database holds."""
    with psycopg.connect(os.environ["DATABASE_ADMIN_URL"]) as connection:
        row = connection.execute((SHARED / "audit.sql").read_text()).fetchone()
    orders, confirmed, captured_total, emails, stock_ok = row
    return {"orders": orders, "confirmed": confirmed, "captured_total": float(captured_total), "emails": emails,
            "stock_ok": stock_ok}
