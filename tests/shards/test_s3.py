"""Sets in object storage, through s3fs against a store that speaks S3's API: read whole, or refused with the reason."""

from __future__ import annotations

import http.client
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from slakh_hier.errors import FaultError, InputError, ShardError
from slakh_hier.shards import open_shards, store

Put = Callable[[Path, str], str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def forget_connections() -> None:
    """As in a new process: fsspec keeps one for each address, with its credentials."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def test_a_set_is_read(make_set: Any, s3: Put, cache: Path) -> None:
    made = make_set()
    url = s3(made.folder, "bucket/some/set")
    with open_shards(url) as there, open_shards(made.folder) as here:
        assert len(there) == len(here) > 0
        for one, other in zip(there, here, strict=True):
            np.testing.assert_array_equal(one.mix, other.mix)
    assert not list(cache.rglob(".tmp-*"))


def test_what_is_not_there(make_set: Any, s3: Put) -> None:
    made = make_set()
    made.file(1).rename(made.folder / "elsewhere")
    url = s3(made.folder, "bucket/set")
    with pytest.raises(ShardError, match=rf"{made.file(1).name}: is not there, but the index lists it"):
        open_shards(url)
    for other in ("s3://bucket/sets", "s3://bucket", "s3://buckets/set"):
        with pytest.raises(InputError, match=f"{other}: holds no finished set of shards"):
            open_shards(other)


@pytest.mark.parametrize("what", ["unknown", "none", "half", "no right"])
def test_credentials(make_set: Any, s3: Put, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    from moto import settings
    from moto.core.authorization import ActionAuthenticatorMixin

    url = s3(make_set().folder, "bucket/set")
    if what == "no right":
        import boto3

        iam = boto3.client("iam")
        iam.create_user(UserName="somebody")
        key = iam.create_access_key(UserName="somebody")["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    if what in ("none", "half"):
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    if what == "none":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    # From now on the store wants to know who asks.
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    monkeypatch.setattr(ActionAuthenticatorMixin, "request_count", 0)
    forget_connections()
    with pytest.raises(
        InputError, match=r"index\.json: access is denied .*Check the address and your credential"
    ):
        open_shards(url)


@contextmanager
def cutting(name: str, times: int) -> Iterator[str]:
    """A way to the store on which the connection is cut in the middle of a file's body, so many times."""
    behind = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
    left = [times]

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().split()
            headers = dict(http.client.parse_headers(self.rfile).items())
            connection = http.client.HTTPConnection(behind)
            connection.request(line[0].decode(), line[1].decode(), headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            head = f"HTTP/1.1 {answer.status} {answer.reason}\r\nConnection: close\r\n"
            head += "".join(
                f"{k}: {v}\r\n" for k, v in answer.getheaders() if k.lower() not in ("connection",)
            )
            self.wfile.write(head.encode() + b"\r\n")
            if line[1].decode().endswith(name) and left[0]:
                left[0] -= 1
                body = body[: len(body) // 2]
            self.wfile.write(body)
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
    assert left[0] < times  # it was cut


def test_a_connection_that_is_cut_once(make_set: Any, s3: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_set()
    url = s3(made.folder, "bucket/set")
    with cutting(made.file(1).name, 1) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        forget_connections()
        with open_shards(url) as there, open_shards(made.folder) as here:
            for one, other in zip(there, here, strict=True):
                np.testing.assert_array_equal(one.mix, other.mix)


def test_a_connection_that_is_always_cut(
    make_set: Any, s3: Put, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(store, "PATIENCE_SECONDS", 3.0)
    made = make_set()
    url = s3(made.folder, "bucket/set")
    with cutting(made.file(1).name, 10**6) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        forget_connections()
        with pytest.raises(
            FaultError, match=rf"{made.file(1).name}: .*Try again.*what is fetched is kept"
        ) as error:
            open_shards(url)
    assert error.value.exit_code == 3
    assert [path.name for path in cache.glob("shards/*-*/*.h5")] == [made.file(0).name]
    assert not list(cache.rglob(".tmp-*"))
