"""Servers that accept and never answer, that drip, that hang up: an error in good time, and nothing left behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.errors import FaultError, InputError
from slakh_hier.shards import open_shards, store

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

Answer = Callable[[socket.socket, bytes], None]
PATIENCE = 1.0


@pytest.fixture(autouse=True)
def patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "PATIENCE_SECONDS", PATIENCE)


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """A server on the loopback that answers each request with a function of the socket and the request."""
    listening = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []
    closed = threading.Event()

    def start(answer: Answer) -> str:
        def one(connection: socket.socket) -> None:
            with suppress(OSError):
                answer(connection, connection.recv(65536))

        def accept() -> None:
            while not closed.is_set():
                with suppress(OSError):
                    opened.append(listening.accept()[0])
                    threading.Thread(target=one, args=(opened[-1],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/set"

    yield start
    closed.set()
    for connection in (*opened, listening):
        connection.close()


def drip(connection: socket.socket, data: bytes) -> None:
    for number in range(len(data)):
        connection.sendall(data[number : number + 1])
        time.sleep(0.05)


def head(length: int, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode()


def drip_all(connection: socket.socket, request: bytes) -> None:
    drip(connection, head(1000) + bytes(1000))


def drip_the_body(connection: socket.socket, request: bytes) -> None:
    connection.sendall(head(10**6))
    drip(connection, bytes(10**6))


def be_silent(connection: socket.socket, request: bytes) -> None:
    time.sleep(30)


def end_in_the_body(connection: socket.socket, request: bytes) -> None:
    connection.sendall(head(10**6) + b"{")
    time.sleep(30)


@pytest.mark.parametrize("answer", [be_silent, drip_all, drip_the_body, end_in_the_body])
def test_a_server_that_never_gets_done_is_left(
    serve: Callable[[Answer], str], answer: Answer, tmp_path: Path
) -> None:
    url = serve(answer)
    began = time.monotonic()
    with pytest.raises(FaultError, match=r"index\.json: (no answer|only [\d,]+ bytes) came in 1 s") as error:
        open_shards(url)
    assert error.value.exit_code == 3
    assert str(error.value).startswith(f"{url}/index.json: ")
    assert time.monotonic() - began < 10 * PATIENCE
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_shard_that_drips_is_named_and_what_was_fetched_is_kept(
    make_set: Any, serve: Callable[[Answer], str], tmp_path: Path
) -> None:
    made = make_set()
    slow = made.file(1).name

    def answer(connection: socket.socket, request: bytes) -> None:
        name = request.split()[1].decode().removeprefix("/set/")
        data = (made.folder / name).read_bytes()
        connection.sendall(head(len(data)))
        if name == slow:
            drip(connection, data)
        connection.sendall(data)
        connection.close()

    url = serve(answer)
    with pytest.raises(FaultError, match=rf"{slow}: only \d+ bytes came in 1 s"):
        open_shards(url)
    assert [path.name for path in tmp_path.glob("cache/shards/*-*/*.h5")] == [made.file(0).name]
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_connection_that_is_cut(make_set: Any, serve: Callable[[Answer], str]) -> None:
    index = (make_set().folder / "index.json").read_bytes()

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(head(len(index)) + index[:50])
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(FaultError, match=r"index\.json: cannot be fetched \(.*Try again"):
        open_shards(serve(answer))


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_server_that_wants_credentials(serve: Callable[[Answer], str], status: str) -> None:
    url = serve(lambda connection, request: connection.sendall(head(0, status)))
    with pytest.raises(InputError, match=r"index\.json: access is denied .* your credentials"):
        open_shards(url)


def test_a_slow_server_that_moves_on_is_waited_for(
    make_set: Any, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer than the patience as a whole, but never that long for so many bytes."""
    monkeypatch.setattr(store, "LEAST_BYTES", 500)
    made = make_set()

    def answer(connection: socket.socket, request: bytes) -> None:
        data = (made.folder / request.split()[1].decode().removeprefix("/set/")).read_bytes()
        connection.sendall(head(len(data)))
        for place in range(0, len(data), 1 + len(data) // 8):
            connection.sendall(data[place : place + 1 + len(data) // 8])
            time.sleep(0.25 if data[:1] == b"{" else 0)
        connection.close()

    url = serve(answer)
    began = time.monotonic()
    with open_shards(url) as there:
        assert len(there) > 0
    assert time.monotonic() - began > 1.5 * PATIENCE
