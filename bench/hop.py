"""One plain reverse-proxy hop to compare with: nginx with one worker, no work, kept connections."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, socket

START_SECONDS_MAX = 10.0

_CONFIG = """\
worker_processes 1;
daemon off;
pid {scratch}/pid;
error_log stderr error;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  keepalive_requests 100000000;
  client_max_body_size 17m;
  client_body_buffer_size 64k;
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


@contextmanager
def nginx(backend: int, pin: Callable[[], None]) -> Iterator[int | None]:
    """The port of a hop in front of ``backend``; None where nginx is not installed.

    ``pin``: what its process calls first, to keep itself on one core.
    """
    program = shutil.which("nginx")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as scratch:
        port = free_port()
        config = Path(scratch) / "nginx.conf"
        config.write_text(_CONFIG.format(scratch=scratch, backend=backend, port=port))
        process = subprocess.Popen(
            [program, "-c", str(config), "-p", scratch, "-e", "stderr"], preexec_fn=pin
        )
        try:
            _wait(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(START_SECONDS_MAX)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit("nginx ended before it served")
        try:
            create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit("nginx did not serve in time")
