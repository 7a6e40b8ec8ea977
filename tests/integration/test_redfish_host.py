"""Redfish drives a real host: by sushy, which is what Ironic and Metal3 use, and by websocket. The
medium is a remote ISO on a real SFTP server."""

import socket
import ssl
import threading
import time

import pytest

from tests.support import isos
from tests.support.image_server import ImageServer
from tests.support.lomd import PASSWORD, Lomd, wait_until
from tests.support.redfish import Client
from tests.support.websocket import WebSocket

sushy = pytest.importorskip("sushy", reason="python3-sushy is not installed")

MISSING = Lomd.missing() or ImageServer.missing()
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(bool(MISSING), reason=MISSING or "built")]

SYSTEM = "/redfish/v1/Systems/host0"
CD = SYSTEM + "/VirtualMedia/Cd"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as images:
        images.add(isos.hello())
        yield images


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        yield lomd


@pytest.fixture(scope="module")
def ironic(sp, tmp_path_factory):
    """What Ironic's driver gets: a sushy connection that trusts our certificate and no other."""
    trusted = tmp_path_factory.mktemp("trust") / "ca.pem"
    trusted.write_text(ssl.get_server_certificate(("127.0.0.1", sp.ports["https"])))
    with pytest.MonkeyPatch.context() as machine:
        machine.delenv("REQUESTS_CA_BUNDLE", raising=False)  # would count for more
        machine.delenv("CURL_CA_BUNDLE", raising=False)
        yield sushy.Sushy(f"https://127.0.0.1:{sp.ports['https']}", username="root",
                          password=PASSWORD, verify=str(trusted))


def insert(client, server, drive=CD, **more):
    return client.post(drive + "/Actions/VirtualMedia.InsertMedia",
                       {"Image": server.uri(isos.hello().name), "UserName": server.username,
                        "Password": server.password, "Inserted": True, "WriteProtected": True,
                        "TransferMethod": "Stream", **more})


@pytest.mark.parametrize("name", ["Cd2", "Usb"])
def test_the_other_drives_take_images_too(sp, server, name):
    client = Client(sp)
    drive = SYSTEM + "/VirtualMedia/" + name
    assert drive in [one["@odata.id"] for one in client.get(SYSTEM + "/VirtualMedia").json["Members"]]
    answer = insert(client, server, drive)
    assert answer.status == 204, answer
    shown = client.get(drive).json
    assert shown["Inserted"] and shown["WriteProtected"] and shown["ConnectedVia"] == "URI"
    assert not client.get(CD).json["Inserted"]
    assert client.post(drive + "/Actions/VirtualMedia.EjectMedia", {}).status == 204
    assert not client.get(drive).json["Inserted"]
    # What is not in the library is written to by nobody.
    assert insert(client, server, drive, WriteProtected=False).status == 400


def test_sushy_boots_the_host_from_virtual_media(sp, ironic, server):
    client = Client(sp)
    system = ironic.get_system(SYSTEM)
    assert system.power_state == sushy.PowerState.OFF
    media = ironic.get_manager("/redfish/v1/Managers/sp").virtual_media.get_members()[0]
    assert not media.inserted
    # sushy passes no credentials of its own: they wait in the drive.
    assert client.patch(CD, {"UserName": server.username, "Password": server.password}).status == 200
    media.insert_media(server.uri(isos.hello().name), inserted=True, write_protected=True)
    media.refresh()
    assert media.inserted and media.image.endswith(".iso")
    system.refresh()
    assert system.power_state == sushy.PowerState.OFF  # inserting starts nothing
    assert system.boot.target == sushy.BootSource.NONE

    system.set_system_boot_options(target=sushy.BootSource.CD,
                                   enabled=sushy.BootSourceOverrideEnabled.ONCE)
    system.refresh()
    assert system.boot.enabled == sushy.BootSourceOverrideEnabled.ONCE
    system.reset_system(sushy.ResetType.ON)
    system.refresh()
    assert system.power_state == sushy.PowerState.ON
    with WebSocket(sp.ports["https"], "/console/serial?offset=0", client.headers, 60) as console:
        assert b"LOMHELLO" in console.until(b"READY")
        console.send(b"TYPED-IN-A-PAGE")  # capitals: some small letters are commands there
        console.until(b"TYPED-IN-A-PAGE")
    system.refresh()
    assert system.boot.enabled == sushy.BootSourceOverrideEnabled.DISABLED  # used once

    media.eject_media()
    media.refresh()
    assert not media.inserted and not media.image
    system.reset_system(sushy.ResetType.FORCE_OFF)
    wait_until(lambda: client.get(SYSTEM).json["PowerState"] == "Off", 20, "power off")


def test_insert_says_what_is_wrong_and_leaves_the_drive_empty(sp, server):
    client = Client(sp)
    wrong = insert(client, server, Password="wrong")
    assert wrong.status == 400, wrong
    told = wrong.json["error"]["@Message.ExtendedInfo"][0]
    reason = told["Message"]  # all that some clients show
    assert told["MessageId"] == "OpenLOM.1.0.Refused" and reason == told["Resolution"]
    assert "password" in reason.lower() or "auth" in reason.lower(), reason
    assert client.get(CD).json["Inserted"] is False
    assert client.get(CD).json["Image"] is None
    assert insert(client, server, Image="gopher://x/y.iso").status == 400
    assert insert(client, server, WriteProtected=False).status == 400
    assert client.post(CD + "/Actions/VirtualMedia.InsertMedia", {}).status == 400


class SlowLine:
    """Between a client and a server on loopback: a byte each 0.3 s, until hurry()."""

    def __init__(self, port):
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._hurry = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def hurry(self):
        self._hurry.set()

    def close(self):
        self._listener.close()

    def _accept(self):
        try:
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._server))
                threading.Thread(target=self._carry, args=(client, server, 65536), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, 1), daemon=True).start()
        except OSError:
            pass

    def _carry(self, source, target, piece):
        try:
            while data := source.recv(65536 if self._hurry.is_set() else piece):
                target.sendall(data)
                if piece == 1:
                    self._hurry.wait(0.3)
        except OSError:
            pass
        target.close()


def test_a_server_that_takes_long_becomes_a_task_that_ends(sp, server):
    client = Client(sp)
    line = SlowLine(server.port)
    try:
        uri = server.uri(isos.hello().name).replace(str(server.port), str(line.port))
        began = time.monotonic()
        beside = Client(sp, log_in=False)
        beside.headers = dict(client.headers)
        answers = []
        inserting = threading.Thread(target=lambda: answers.append(insert(client, server, Image=uri)))
        inserting.start()
        wait_until(lambda: beside.get(CD).json["Oem"]["OpenLOM"]["Status"] == "connecting", 10, "it is tried")
        assert not answers, "the same session reads while its request is under way"
        inserting.join(30)
        assert time.monotonic() - began < 20
        answer = answers[0]
        assert answer.status == 202, answer
        monitor = answer.headers["location"]
        running = client.get(monitor)
        assert (running.status, running.json["TaskState"]) == (202, "Running"), running
        assert client.get(monitor.removesuffix("/Monitor")).json["TaskMonitor"] == monitor
        assert client.get(monitor.replace("/Monitor", "0/Monitor")).status == 404
        assert client.get("/redfish/v1/TaskService/Tasks/Monitor").status == 404
        line.hurry()
        wait_until(lambda: client.get(monitor).status == 204, 30, "the guest can see the medium")
        assert client.get(CD).json["Inserted"] is True
        assert client.get(monitor.removesuffix("/Monitor")).json["TaskState"] == "Completed"
    finally:
        line.close()
        client.post(CD + "/Actions/VirtualMedia.EjectMedia", {})


def test_the_reset_types_act(sp):
    client = Client(sp)

    def reset(kind):
        return client.post(SYSTEM + "/Actions/ComputerSystem.Reset", {"ResetType": kind}).status

    def power(state):
        wait_until(lambda: client.get(SYSTEM).json["PowerState"] == state, 20, state)

    assert reset("ForceOff") == 204  # off already: nothing to do is no failure
    assert reset("Nmi") == 409
    assert reset("On") == 204
    power("On")
    assert reset("On") == 204
    assert reset("Nmi") == 204
    assert reset("ForceRestart") == 204
    power("On")
    assert reset("GracefulRestart") == 204
    assert "start again" in client.get(SYSTEM).json["Oem"]["OpenLOM"]["HostStatusDetail"]
    assert reset("ForceRestart") == 204
    power("On")
    refused = client.patch(SYSTEM, {"Boot": {"BootSourceOverrideMode": "UEFI"}})
    assert refused.status == 409  # the firmware is chosen while the host is off
    assert client.patch(SYSTEM, {"Boot": {"BootSourceOverrideMode": "Legacy"}}).status == 200
    assert reset("ForceOff") == 204
    power("Off")
    volume = client.post(SYSTEM + "/Storage/Disks/Volumes", {"CapacityBytes": 1 << 30})
    assert volume.status == 201
    assert client.get(volume.headers["location"]).json["CapacityBytes"] == 1 << 30
    assert client.delete(volume.headers["location"]).status == 204
