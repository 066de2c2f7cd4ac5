"""Runs one server and ends it, with all its children, when whoever started it is gone.

Run as a script, so that it needs nothing of this project: ``python keeper.py GRACE COMMAND...``. Its standard input is
a pipe whose other end the starter holds; the kernel closes that end however the starter dies, a SIGKILL included.
The keeper leads the process group, and everything the server forks stays in that group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(grace: float, command: list[str]) -> None:
    """Runs ``command``; where the starter is gone it has ``grace`` seconds to leave. Ends the whole group, itself too."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_starter, args=(server, grace), daemon=True).start()
    server.wait()
    os.killpg(0, signal.SIGKILL)  # workers outlive their parent


def _end_with_starter(server: subprocess.Popen[bytes], grace: float) -> None:
    sys.stdin.buffer.read()
    server.terminate()
    try:
        server.wait(grace)
    finally:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
