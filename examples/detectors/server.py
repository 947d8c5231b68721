#!/usr/bin/env python3
"""A detector behind HTTP, with nothing but the standard library: kind http.

    python3 server.py 8000
    heirloom detector test http://127.0.0.1:8000/
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def judge(row):
    if not row["output"].strip():
        return {"id": row["id"], "score": None}
    return {"id": row["id"], "score": 1 if "lattice" in row["output"].lower() else 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({"type": "ready", "name": "lattice-http", "version": "1", "batch": 64})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"answers": [judge(row) for row in body["rows"]]})

    def answer(self, value):
        data = json.dumps(value).encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Handler)
    print("listening on http://127.0.0.1:%d/" % server.server_port, flush=True)
    server.serve_forever()
