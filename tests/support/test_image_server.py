"""The image server of the tour is a real sshd that gives away nothing but its images."""

import pathlib
import pwd

import paramiko
import pytest

from support.image_server import ImageServer, answers

pytestmark = [
    pytest.mark.material,
    pytest.mark.skipif(bool(ImageServer.missing()), reason=ImageServer.missing()),
]


@pytest.fixture
def server(tmp_path):
    with ImageServer(tmp_path / "sshd.log") as running:
        yield running


def log_in(server, password):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", server.port, server.username, password, look_for_keys=False, allow_agent=False,
                   timeout=10)
    return client


def test_image_is_read_with_the_password(server, tmp_path):
    (tmp_path / "an.iso").write_bytes(b"image" * 1000)
    uri = server.add(tmp_path / "an.iso")
    assert uri == f"sshfs://127.0.0.1:{server.port}/export/home/user/an.iso"
    with log_in(server, server.password) as client:
        with client.open_sftp().open("/export/home/user/an.iso") as image:
            assert image.read() == b"image" * 1000


def test_wrong_password_is_refused(server):
    with pytest.raises(paramiko.AuthenticationException):
        log_in(server, server.password + "x")


def test_account_can_only_read_its_folder(server):
    with log_in(server, server.password) as client:
        files = client.open_sftp()
        with pytest.raises(PermissionError):
            files.open("/export/home/user/new", "w")
        assert files.listdir("/") == ["export"]
        with pytest.raises(paramiko.SSHException):
            client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", server.port), ("127.0.0.1", 1),
                                                timeout=10)


def test_the_machine_gets_no_account(server):
    with pytest.raises(KeyError):
        pwd.getpwnam(server.username)
    assert f"{server.username}:" not in pathlib.Path("/etc/shadow").read_text()


def test_stop_ends_connections_and_start_comes_back(server):
    client = log_in(server, server.password)
    server.stop()
    assert not answers(server.port)
    client.get_transport().join(10)
    assert not client.get_transport().is_active()
    server.start()
    log_in(server, server.password).close()


def test_nothing_is_left(tmp_path):
    with ImageServer(tmp_path / "sshd.log") as server:
        folders = server.root, server.home
        port = server.port
    assert not any(folder.exists() for folder in folders)
    assert not answers(port)
