"""A client of imodel that knows the NATS text protocol and JSON, and nothing else.

    client.py HOST:PORT MODEL invoke PROMPT
    client.py HOST:PORT MODEL stream PROMPT [CREDIT]
    client.py HOST:PORT MODEL cancel CALL
    client.py HOST:PORT MODEL resume CALL AFTER_SEQ
    client.py HOST:PORT MODEL state
    client.py HOST:PORT MODEL hook POINT

Prints one JSON document a line; everything is Python's standard library.
"""

import json
import socket
import sys
import uuid


class Nats:
    """One connection to a NATS server, used by one thread."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._file = self._socket.makefile("rb")
        self._subscriptions = 0
        self._inbox = "_INBOX." + uuid.uuid4().hex
        self._file.readline()  # INFO
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python"}
        self._socket.sendall(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self.subscribe(self._inbox + ".*")

    def subscribe(self, subject: str, queue: str = "") -> None:
        self._subscriptions += 1
        group = f"{queue} " if queue else ""
        self._socket.sendall(f"SUB {subject} {group}{self._subscriptions}\r\n".encode())

    def flush(self) -> None:
        """Waits until the server has taken everything. To be called before messages can come."""
        self._socket.sendall(b"PING\r\n")
        while self._file.readline().strip() not in (b"PONG", b""):
            pass

    def publish(self, subject: str, body: object, reply_to: str = "", headers: dict | None = None) -> None:
        data = json.dumps(body).encode()
        target = f"{subject} {reply_to}".strip()
        if headers is None:
            self._socket.sendall(f"PUB {target} {len(data)}\r\n".encode() + data + b"\r\n")
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"NATS/1.0\r\n{lines}\r\n".encode()
        sizes = f"{len(head)} {len(head) + len(data)}"
        self._socket.sendall(f"HPUB {target} {sizes}\r\n".encode() + head + data + b"\r\n")

    def receive(self) -> tuple[str, str, bytes]:
        """The next message: its subject, its header lines, its body."""
        subject, _, head, data = self.receive_with_reply()
        return subject, head, data

    def receive_with_reply(self) -> tuple[str, str, str, bytes]:
        """The next message: its subject, the subject for a reply to it, its header lines, its body."""
        while True:
            line = self._file.readline()
            words = line.split()
            if line == b"" or words[:1] == [b"-ERR"]:
                raise ConnectionError(line.decode().strip() or "the server has closed the connection")
            if words[:1] == [b"PING"]:
                self._socket.sendall(b"PONG\r\n")
            elif words[:1] == [b"MSG"]:
                reply_to = words[3].decode() if len(words) == 5 else ""
                return words[1].decode(), reply_to, "", self._file.read(int(words[-1]) + 2)[:-2]
            elif words[:1] == [b"HMSG"]:
                head_size, size = int(words[-2]), int(words[-1])
                data = self._file.read(size + 2)[:-2]
                reply_to = words[3].decode() if len(words) == 6 else ""
                return words[1].decode(), reply_to, data[:head_size].decode(), data[head_size:]

    def ask(self, subject: str, body: object, headers: dict | None = None) -> str:
        """Sends a request. Returns the subject on which its reply will come."""
        reply_to = f"{self._inbox}.{uuid.uuid4().hex}"
        self.publish(subject, body, reply_to, headers)
        return reply_to

    def request(self, subject: str, body: object) -> dict:
        reply_to = self.ask(subject, body)
        while True:
            on, head, data = self.receive()
            if on == reply_to and head.startswith("NATS/1.0 503"):
                raise LookupError(f"nobody listens on {subject}")
            if on == reply_to:
                return json.loads(data)


def stream(nats: Nats, model: str, request: dict, credit: int) -> None:
    """Follows a stream from its first message to its end. Never skips: a gap ends it."""
    call = uuid.uuid4().hex
    # First listen, then ask: nothing is missed.
    nats.subscribe(f"imodel.{model}.chunks.{call}")
    headers = {"Imodel-Call": call}
    if credit > 0:
        headers["Imodel-Credit"] = str(credit)
    reply_to = nats.ask(f"imodel.{model}.stream", request, headers)
    node, unreported, expected = "", 0, 1
    while True:
        subject, _, data = nats.receive()
        message = json.loads(data)
        if subject != reply_to and message["kind"] == "alive":
            continue
        print(json.dumps(message), flush=True)
        if subject == reply_to:
            if "failure" in message:
                return
            node = message["node"]
        elif message["seq"] != expected:
            raise RuntimeError(f"expected message {expected}, got {message['seq']}")
        elif message["kind"] == "end":
            return
        else:
            expected += 1
            unreported += 1
        if credit > 0 and node and unreported * 2 >= credit:
            body = {"type": "credit", "call_id": call, "chunks": unreported}
            nats.publish(f"imodel.{model}.ctl.{node}", body)
            unreported = 0


def hook(nats: Nats, model: str, point: str) -> None:
    """Answers what an iModel asks of hooks: no passwords, and the answer to everything from memory."""
    # In a queue group, so that several of these share the questions.
    nats.subscribe(f"imodel.{model}.hooks.{point}", queue="hook")
    nats.flush()
    print(json.dumps({"listening": point}), flush=True)
    while True:
        _, reply_to, _, data = nats.receive_with_reply()
        ask = json.loads(data)
        text = json.dumps(ask.get("request", ask.get("chunks")))
        answer = {"action": "pass"}
        if "password" in text:
            answer = {"action": "veto", "reason": "no passwords, says Python"}
        elif point == "chunk":
            changed = [{**chunk, "content": (chunk.get("content") or "").upper()} for chunk in ask["chunks"]]
            answer = {"action": "transform", "chunks": changed}
        elif "everything" in text:
            answer = {"action": "answer", "text": "42"}
        elif "french" in text:
            messages = [{"role": "user", "content": "bonjour"}]
            answer = {"action": "replace", "request": {**ask["request"], "messages": messages}}
        nats.publish(reply_to, answer)
        print(json.dumps(ask), flush=True)


def request_of(prompt: str) -> dict:
    """A prompt as a request; one that is a JSON object is taken as the request itself."""
    return json.loads(prompt) if prompt.startswith("{") else {"messages": [{"role": "user", "content": prompt}]}


def main() -> None:
    address, model, verb, *words = sys.argv[1:]
    nats = Nats(address)
    if verb == "stream":
        stream(nats, model, request_of(words[0]), int(words[1]) if len(words) > 1 else 0)
        return
    if verb == "hook":
        hook(nats, model, words[0])
    bodies = {
        "invoke": lambda: request_of(words[0]),
        "cancel": lambda: {"call_id": words[0], "reason": "asked by Python"},
        "resume": lambda: {"call_id": words[0], "after_seq": int(words[1])},
        "state": dict,
    }
    print(json.dumps(nats.request(f"imodel.{model}.{verb}", bodies[verb]())), flush=True)


if __name__ == "__main__":
    main()
