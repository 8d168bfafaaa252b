"""HTTP: placing orders, health, and how many emails were sent."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from notifications import Notifications
from orders import Orders
from streams import Service


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


def serve(address: str, services: list[Service]) -> Server:
    """Starts to serve what the services of this process offer."""
    offered = {service.name: service for service in services}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections
        disable_nagle_algorithm = True
        wbufsize = -1  # the answer in one piece

        def do_GET(self) -> None:
            mail = offered.get("notifications")
            if self.path == "/healthz":
                waiting = [service.name for service in services if not service.consuming]
                self.answer(503 if waiting else 200, {"waiting": waiting})
            elif self.path == "/emails" and isinstance(mail, Notifications):
                self.answer(200, mail.sent())
            else:
                self.answer(404, {"error": "not here"})

        def do_POST(self) -> None:
            taker = offered.get("orders")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path != "/orders" or not isinstance(taker, Orders):
                self.answer(404, {"error": "not here"})
                return
            try:
                order = json.loads(body)
                user_id, items = order["user_id"], order["items"]
                right = items and all(item["sku"] and item["quantity"] > 0 for item in items)
            except (ValueError, KeyError, TypeError):
                right = False
            if right:
                self.answer(202, {"order_id": taker.place(user_id, items)})
            else:
                self.answer(422, {"error": "an order has a user_id and items with sku and quantity"})

        def answer(self, status: int, body: dict) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    host, port = address.rsplit(":", 1)
    server = Server((host, int(port)), Handler)
    threading.Thread(target=server.serve_forever, name="http").start()
    print(json.dumps({"msg": "listening", "addr": "%s:%d" % server.server_address[:2]}), file=sys.stderr, flush=True)
    return server
