"""A proxy that listens with TLS, its certificate changed while clients are connected."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
import uvloop
from botocore.config import Config

from dualwrite.adapters import tls
from dualwrite.core.errors import UnusableFile
from dualwrite.proxy.server import Bounds, HttpReply, HttpRequest, Server
from tests.process_harness import Installation, one_line, until

ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def issue(authority: trustme.CA, certificate: Path, key: Path) -> bytes:
    """Write a new certificate for loopback; gives its bytes as a client sees them."""
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


def connect(port: int, authority: trustme.CA) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    plain = socket.create_connection(("127.0.0.1", port), timeout=60)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def healthy(connection: ssl.SSLSocket) -> bool:
    connection.sendall(ASK)
    return b"healthy: " in connection.recv(4096)


def test_a_new_certificate_is_taken_over_and_nobody_is_cut_off(
    installation: Installation, tmp_path: Path
) -> None:
    """boto3 trusts it; after the files changed, new connections see the new one and those of
    before are served on; files that do not fit each other change nothing."""
    installation.json("check", "--apply")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    first = issue(authority, certificate, key)
    process, said = installation.ready(
        "proxy", "--tls-cert", str(certificate), "--tls-key", str(key)
    )
    client = boto3.client(
        "dynamodb", endpoint_url=f"https://127.0.0.1:{said['port']}", region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test", verify=str(tmp_path / "ca.pem"),
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    assert client.list_tables()["TableNames"]
    before = connect(said["port"], authority)
    assert before.getpeercert(binary_form=True) == first
    assert healthy(before)

    def seen() -> bytes | None:
        with connect(said["port"], authority) as connection:
            assert healthy(connection)
            return connection.getpeercert(binary_form=True)

    certificate.write_bytes(key.read_bytes())
    second = issue(authority, certificate, key)
    until(lambda: seen() == second)
    assert healthy(before)
    key.write_text("no key")
    assert seen() == second
    assert client.list_tables()["TableNames"]

    with socket.create_connection(("127.0.0.1", said["port"]), timeout=60) as plain:
        plain.sendall(ASK)
        assert b"HTTP/1.1" not in plain.recv(4096)
    before.close()
    process.terminate()
    assert process.wait(60) == 0


def test_what_is_no_certificate_is_told_at_start(
    installation: Installation, tmp_path: Path
) -> None:
    """One plain line, without a word of what is in the files."""
    installation.json("check", "--apply")
    pem = tmp_path / "a.pem"
    pem.write_text("secret text")
    refused = installation.run("proxy", "--tls-cert", str(pem), "--tls-key", str(pem))
    assert refused.returncode == 2
    assert "no certificate chain" in one_line(refused)
    assert "secret text" not in refused.stderr


def test_a_client_that_never_shakes_hands_is_dropped(tmp_path: Path) -> None:
    """It would hold a socket that no other bound counts."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issue(trustme.CA(), certificate, key)

    async def answer(request: HttpRequest) -> HttpReply:
        return HttpReply(200, (), b"")

    async def go() -> bytes:
        server = Server(
            answer, host="127.0.0.1", port=0, tls=tls.context_for(certificate, key),
            bounds=Bounds(handshake_seconds=0.2),
        )  # fmt: skip
        port = await server.start()
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            said = await reader.read()
        writer.close()
        await server.stop(0.0)
        return said

    assert uvloop.run(go()) == b""


def broken(change: Callable[[Path, Path], Any], tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issue(trustme.CA(), certificate, key)
    change(certificate, key)
    return certificate, key


@pytest.mark.parametrize(
    "change",
    [
        lambda certificate, key: certificate.write_text(""),
        lambda certificate, key: issue(trustme.CA(), certificate, key.with_name("other")),
    ],
)
def test_files_that_do_not_fit_leave_the_context_as_it_was(
    tmp_path: Path, change: Callable[[Path, Path], Any]
) -> None:
    """An empty chain, a key of another certificate."""
    good = broken(lambda certificate, key: None, tmp_path)
    context = tls.context_for(*good)
    with pytest.raises(UnusableFile, match=r"cert\.pem and .*key\.pem: are no certificate chain"):
        tls.renew(context, *broken(change, tmp_path))


def test_files_that_change_while_they_are_read_are_told_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found good, and then one of them was replaced before it was used: the watch goes on."""
    files = broken(lambda certificate, key: None, tmp_path)
    context, check = tls.context_for(*files), tls.context_for

    def checked(certificate: Path, key: Path) -> ssl.SSLContext:
        found = check(certificate, key)
        issue(trustme.CA(), certificate, key.with_name("other"))
        return found

    monkeypatch.setattr(tls, "context_for", checked)
    with pytest.raises(UnusableFile, match="changed while they were read"):
        tls.renew(context, *files)


@pytest.mark.parametrize("gone", ["cert.pem", "key.pem"])
def test_of_two_files_the_one_that_lacks_is_named(tmp_path: Path, gone: str) -> None:
    """And not the other one, nor what is wrong with a pair."""
    good = broken(lambda certificate, key: None, tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(UnusableFile) as refused:
        tls.context_for(*good)
    assert str(refused.value) == f"{tmp_path / gone}: cannot be read: No such file or directory"
