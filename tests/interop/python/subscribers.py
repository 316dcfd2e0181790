"""Subscribes to room.1 by every listener, in a process that is to be killed: the ports of the broker, of HTTP and of RESP."""

import base64
import socket
import sys
import time


def ask(port, request, answer):
    """Sends bytes on a connection of their own, and waits until the answer has come."""
    connection = socket.create_connection(("127.0.0.1", int(port)))
    connection.sendall(request)
    received = b""
    while answer not in received:
        part = connection.recv(4096)
        assert part, received
        received += part
    return connection


def frame(text):
    """A frame of a WebSocket client, whose mask changes nothing."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


broker, http, resp = sys.argv[1:]
upgrade = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
upgrade += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: quartet.json\r\n"
upgrade += b"Sec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n\r\n"
connections = [
    ask(broker, b'CONNECT {"verbose":false}\r\nSUB room.1 1\r\nPING\r\n', b"PONG\r\n"),
    ask(http, b"GET /subscribe/room.1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b":\n\n"),
    ask(http, upgrade + frame(b'{"op":"subscribe","subject":"room.1"}'), b'"subscribed"'),
    ask(resp, b"SUBSCRIBE room.1\r\n", b":1\r\n"),
]
print("subscribed", flush=True)
time.sleep(600)
