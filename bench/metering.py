"""What the meter adds to a model request, against the same request made directly; nobody else in between.

    python bench/metering.py origin          a server that answers as Anthropic does, from memory
    python bench/metering.py meter URL       a meter in front of it

Both are processes of their own, as the provider and the coordinator are; what is measured is the client's view.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from threading import Thread
from urllib.parse import urlsplit

__all__ = ["Metered", "a_meter", "latencies_ms", "streams_s"]

EVENT = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
EVENT += b'"text":"' + b"some twenty tokens of text, as a model says them, one after the other " * 2 + b'"}}\n\n'
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"model":"bench","usage":{"input_tokens":9,'
    b'"output_tokens":1}}}\n\n'
)
END = b'event: message_delta\ndata: {"type":"message_delta","delta":{},"usage":{"output_tokens":20}}\n\n'
WHOLE = json.dumps(
    {
        "model": "bench",
        "content": [{"type": "text", "text": "x" * 900}],
        "usage": {"input_tokens": 9, "output_tokens": 20},
    }
).encode()
FLOOD_BYTES = 64 * 1024 * 1024
PACED_EVENTS = 2000
PACED_EVERY_S = 0.002


@dataclass(frozen=True, kw_only=True)
class Metered:
    """The two addresses of the same provider, and the process in between."""

    direct: str
    metered: str
    pid: int


# -- the two processes ----------------------------------------------------------------------------


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:"))
            body = await reader.readexactly(length)
            how = next((how for how in (b"paced", b"flood") if b'"model": "' + how in body), b"whole")
            if how == b"whole":
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(WHOLE)
                )
                writer.write(WHOLE)
                continue
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            await (_paced(writer) if how == b"paced" else _flood(writer))
            writer.write(b"0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _paced(writer: asyncio.StreamWriter) -> None:
    begin = time.monotonic()
    writer.write(_chunk(START))
    for number in range(PACED_EVENTS):
        writer.write(_chunk(EVENT))
        await asyncio.sleep(max(0.0, begin + (number + 1) * PACED_EVERY_S - time.monotonic()))
    writer.write(_chunk(END))


async def _flood(writer: asyncio.StreamWriter) -> None:
    writer.write(_chunk(START))
    piece = _chunk(EVENT * 128)
    for _ in range(FLOOD_BYTES // len(piece)):
        writer.write(piece)
        await writer.drain()
    writer.write(_chunk(END))


async def _origin() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def _meter(url: str) -> None:
    from chargehand.adapters.meter import Meter, MeterSpec, PriceTable, Upstream

    meter = Meter({"bench": Upstream(base_url=url, key="a-key-of-the-bench")}, PriceTable.packaged())
    await meter.start()
    print(meter.open(MeterSpec(key="bench", upstream="bench")).base_url, flush=True)
    await asyncio.Event().wait()


@contextmanager
def a_meter() -> Iterator[Metered]:
    """A provider and a meter in front of it, for as long as this lasts."""
    running: list[subprocess.Popen[str]] = []

    def started(*words: str) -> str:
        argv = [sys.executable, __file__, *words]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    try:
        direct = started("origin")
        yield Metered(direct=direct, metered=started("meter", direct), pid=running[1].pid)
    finally:
        for process in running:
            process.kill()
            process.communicate()


# -- the client -----------------------------------------------------------------------------------


class _Client:
    """One kept connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._path = parts.path + "/v1/messages"
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def ask(self, body: bytes) -> int:
        self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"The answer was {answer.status}: {answer.read()[:500]!r}.")
        size = 0
        while piece := answer.read(1 << 16):
            size += len(piece)
        return size

    def close(self) -> None:
        self._connection.close()


def _body(model: str, size: int) -> bytes:
    return json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "x" * size}]}).encode()


def latencies_ms(there: Metered, *, size: int, times: int) -> tuple[float, float]:
    """The medians of a request with `size` bytes of prompt, directly and through the meter, taken by turns."""
    clients = [_Client(there.direct), _Client(there.metered)]
    body, taken = _body("whole", size), ([], [])  # type: tuple[bytes, tuple[list[float], list[float]]]
    for number in range(times + 20):
        for client, into in zip(clients, taken, strict=True):
            began = time.perf_counter()
            client.ask(body)
            if number >= 20:  # the first ones open connections
                into.append((time.perf_counter() - began) * 1000)
    for client in clients:
        client.close()
    return median(taken[0]), median(taken[1])


def streams_s(url: str, model: str, *, parallel: int) -> tuple[float, int]:
    """How long so many streams at once take, and how many bytes came."""
    clients = [_Client(url) for _ in range(parallel)]
    sizes = [0] * parallel

    def take(index: int) -> None:
        sizes[index] = clients[index].ask(_body(model, 2000))

    threads = [Thread(target=take, args=(index,)) for index in range(parallel)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken_s = time.perf_counter() - began
    for client in clients:
        client.close()
    return taken_s, sum(sizes)


if __name__ == "__main__":
    asyncio.run(_origin() if sys.argv[1] == "origin" else _meter(sys.argv[2]))
