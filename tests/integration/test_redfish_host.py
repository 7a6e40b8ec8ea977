"""Redfish drives a real host: by sushy, which is what Ironic and Metal3 use, and by websocket. The
medium is a remote ISO on a real SFTP server."""

import ssl
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


def insert(client, server, **more):
    return client.post(CD + "/Actions/VirtualMedia.InsertMedia",
                       {"Image": server.uri(isos.hello().name), "UserName": server.username,
                        "Password": server.password, "Inserted": True, "WriteProtected": True,
                        "TransferMethod": "Stream", **more})


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
    reason = wrong.json["error"]["@Message.ExtendedInfo"][0]["Resolution"]
    assert "password" in reason.lower() or "auth" in reason.lower(), reason
    assert client.get(CD).json["Inserted"] is False
    assert client.get(CD).json["Image"] is None
    assert insert(client, server, Image="gopher://x/y.iso").status == 400
    assert insert(client, server, WriteProtected=False).status == 400
    assert client.post(CD + "/Actions/VirtualMedia.InsertMedia", {}).status == 400


def test_a_server_that_does_not_answer_becomes_a_task(sp):
    """An address that swallows packets: the answer must not hang, and must not lie."""
    import socket
    client = Client(sp)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # connects, and never says a word
        began = time.monotonic()
        answer = client.post(CD + "/Actions/VirtualMedia.InsertMedia",
                             {"Image": f"sshfs://127.0.0.1:{silent.getsockname()[1]}/x.iso"})
        assert time.monotonic() - began < 20
        assert answer.status in (202, 400), answer
        if answer.status == 202:
            task = client.get(answer.headers["location"].removesuffix("/Monitor"))
            assert task.json["TaskState"] in ("Running", "Exception")
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
    refused = client.patch(SYSTEM, {"Boot": {"BootSourceOverrideMode": "UEFI"}})
    assert refused.status == 409  # the firmware is chosen while the host is off
    assert client.patch(SYSTEM, {"Boot": {"BootSourceOverrideMode": "Legacy"}}).status == 200
    assert reset("ForceOff") == 204
    power("Off")
    volume = client.post(SYSTEM + "/Storage/Disks/Volumes", {"CapacityBytes": 1 << 30})
    assert volume.status == 201
    assert client.get(volume.headers["location"]).json["CapacityBytes"] == 1 << 30
    assert client.delete(volume.headers["location"]).status == 204
