"""The order processor as Kafka's Python guides write it: main.py [orders|payments|notifications|audit].

A service is one loop: poll, handle each message in a transaction of its own, send what follows from it, and commit the
offsets once the broker has acknowledged what was sent. Without a role all three services run in this process.
"""

import json
import os
import signal
import sys
import threading

import database
import notifications
import orders
import payments
import web
from streams import Service, Streams

SERVICES = {"orders": orders.Orders, "payments": payments.Payments, "notifications": notifications.Notifications}


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or arguments and arguments[0] not in [*SERVICES, "audit"]:
        print("usage: main.py [orders|payments|notifications|audit]", file=sys.stderr)
        return 2
    if arguments == ["audit"]:
        print(json.dumps(database.audit()))
        return 0
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    database.make_schema()
    return run(arguments or list(SERVICES), stop)


def run(roles: list[str], stop: threading.Event) -> int:
    """Runs the services until stop is set; one that ends by itself ends the others. Returns the exit code."""
    streams = Streams(os.environ["KAFKA_BROKERS"].split(","), os.environ.get("KAFKA_TOPIC_PREFIX", ""),
                      os.environ.get("KAFKA_GROUP_PREFIX", ""))
    services: list[Service] = [SERVICES[role](streams) for role in roles]
    failed = threading.Event()

    def loop(service: Service) -> None:
        try:
            service.run(stop)
        except Exception as problem:
            failed.set()
            print(f"{service.name}: {type(problem).__name__}: {problem}", file=sys.stderr)
        finally:
            stop.set()

    threads = [threading.Thread(target=loop, args=(service,), name=service.name) for service in services]
    server = web.serve(os.environ["HTTP_ADDR"], services)
    for thread in threads:
        thread.start()
    stop.wait()
    server.shutdown()
    server.server_close()
    for thread in threads:
        thread.join()
    streams.close()
    return 1 if failed.is_set() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
