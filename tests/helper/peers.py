#!/usr/bin/env python3
"""Servers that tests talk to: peers.py ADDRESS, on fixed ports of a namespace of the test's own.

80 HTTP: GET /bytes/N gives N bytes that depend on N alone, PUT answers the SHA-256 of what came.
7 TCP echo and UDP echo. 22 says a greeting at once, then echoes. 9 sends the SHA-256 of everything
it was sent once the client has shut down its side (half-close)."""
import hashlib
import http.server
import socket
import sys
import threading

ADDRESS = sys.argv[1]
PIECE = hashlib.sha512(b"aero").digest() * 1024


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        left = int(self.path.rsplit("/", 1)[1])
        self.send_response(200)
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left:
            n = min(left, len(PIECE))
            self.wfile.write(PIECE[:n])
            left -= n

    def do_PUT(self):
        left, sha = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            data = self.rfile.read(min(left, 1 << 18))
            if not data:
                return
            sha.update(data)
            left -= len(data)
        body = (sha.hexdigest() + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def echo(conn, greeting=b""):
    with conn:
        conn.sendall(greeting)
        while data := conn.recv(1 << 16):
            conn.sendall(data)


def digest(conn):
    with conn:
        sha = hashlib.sha256()
        while data := conn.recv(1 << 16):
            sha.update(data)
        conn.sendall((sha.hexdigest() + "\n").encode())


def tcp(port, serve):
    listener = socket.create_server((ADDRESS, port), backlog=256)

    def run():
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=serve, args=(conn,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()


def udp(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((ADDRESS, port))

    def run():
        while True:
            data, peer = sock.recvfrom(65535)
            sock.sendto(data, peer)

    threading.Thread(target=run, daemon=True).start()


tcp(7, echo)
tcp(22, lambda conn: echo(conn, b"SSH-2.0-test\r\n"))
tcp(9, digest)
udp(7)
http.server.ThreadingHTTPServer.request_queue_size = 256
server = http.server.ThreadingHTTPServer((ADDRESS, 80), Http)
print("ready", flush=True)
server.serve_forever()
