"""``slakh-hier`` in forks of a process that has imported what every command needs: of a short one, that is most of its time.

    python warm_commands.py serve FOLDER              puts a ``slakh-hier`` into the folder, and serves it
    python warm_commands.py ask FOLDER [COMMAND ...]  is what that does: asks the process that serves

A script, since pytest's process has threads and must not be forked.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import socketserver
import sys
from pathlib import Path


class Command(socketserver.StreamRequestHandler):
    """One command, in a fork: with the arguments, the place, the environment and the streams of who asks."""

    def handle(self) -> None:
        from faults.commands import shut_down

        from slakh_hier.cli.main import main

        size, streams, *_ = socket.recv_fds(self.connection, 4, 3)
        arguments, folder, environment = json.loads(self.rfile.read(int.from_bytes(size)))
        for stream, descriptor in enumerate(streams):
            os.dup2(descriptor, stream)
            os.close(descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        code: object = 0
        try:
            main(arguments)
        except SystemExit as stop:
            code = stop.code
        sys.stdout.flush()
        sys.stderr.flush()
        shut_down()
        self.connection.sendall(str(code or 0).encode())


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    pass


def serve(folder: Path) -> None:
    import pytorch_lightning  # noqa: F401

    import slakh_hier.models.evaluation
    import slakh_hier.models.training  # noqa: F401

    os.chdir(folder)  # a socket's path must be short
    with Server("socket", Command) as server:
        command = folder / "slakh-hier"
        words = [sys.executable, "-IS", str(Path(__file__).absolute()), "ask", str(folder.absolute())]
        command.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        command.chmod(0o755)
        print("ready", flush=True)
        server.serve_forever()


def ask(folder: str, arguments: list[str]) -> int:
    asked = json.dumps([arguments, os.getcwd(), dict(os.environ)]).encode()
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("socket")
        socket.send_fds(server, [len(asked).to_bytes(4)], [0, 1, 2])
        server.sendall(asked)
        return int(server.recv(4) or 99)


if __name__ == "__main__":
    what, where, *words = sys.argv[1:]
    sys.exit(ask(where, words) if what == "ask" else serve(Path(where)))
