"""The real page in Chromium, against the real daemon and QEMU. With LOM_PICTURES=FOLDER it leaves
screenshots there (docs/images is made so)."""

import os
import pathlib
import time

import pytest

from tests.support import isos
from tests.support.browser import Browser
from tests.support.guest import must
from tests.support.image_server import ImageServer
from tests.support.lomd import PASSWORD, Lomd, wait_until
from tests.support.redfish import Client
from tests.support.rfb import Viewer
from tests.support.websocket import WebSocket, Wire

PAGES = {"overview": "Overview", "console": "Console", "media": "Media", "boot": "Boot", "hardware": "Hardware",
         "users": "Users", "logs": "Logs", "services": "Services", "processor": "Service processor"}
CD = "[aria-labelledby=drive-Cd]"
TERMINAL = ".terminal .xterm-accessibility"
PICTURES = os.environ.get("LOM_PICTURES")
pytestmark = pytest.mark.skipif(bool(Browser.missing()), reason=Browser.missing())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if ImageServer.missing():
        pytest.skip(ImageServer.missing())
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as images:
        images.add(isos.hello())
        yield images


@pytest.fixture(scope="module")
def sp():
    if Lomd.missing():
        pytest.skip(Lomd.missing())
    with Lomd() as lomd:
        yield lomd


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


@pytest.fixture(scope="module")
def ann(sp, browser):
    person = browser.person("ann", url(sp))
    person.log_in("root", PASSWORD)
    return person


def url(sp):
    return f"https://127.0.0.1:{sp.ports['https']}/"


def picture(person, name):
    if PICTURES:
        person.order("picture", path=str(pathlib.Path(PICTURES) / f"{name}.png"))


def test_a_wrong_password_says_so_and_the_first_load_is_small(sp, browser):
    eve = browser.person("eve", url(sp))
    assert eve.order("loaded") < 300 * 1024
    eve.fill("User name", "root")
    eve.fill("Password", "wrong")
    eve.click("Log in")
    eve.see("", "[role=alert]")
    assert eve.order("axe") == []


@pytest.mark.qemu
def test_a_remote_image_is_inserted_booted_seen_and_typed_into(sp, ann, browser, server):
    ann.go("media")
    ann.click("Insert: Virtual CD")
    ann.fill("Address", server.uri("hello-LOMHELLO.iso"))
    ann.fill("User name", server.username)
    ann.fill("Password", server.password)
    ann.click("Insert", "dialog")
    ann.see("operational", CD, 30)
    ann.see("LOMHELLO", CD)
    picture(ann, "media")

    ann.go("boot")
    ann.order("choose", label="Boot device", value="cdrom")
    ann.click("Save", "[aria-labelledby=order]")
    ann.see("cdrom", "[aria-labelledby=order]")
    ann.click("Power on")
    ann.see("Host on", ".bar", 30)

    ann.go("console")
    ann.see("You type", "[aria-labelledby=serial-title]")
    ann.see("HELLO volume=LOMHELLO", TERMINAL, 60)
    wait_until(lambda: ann.order("pixels", canvas=".screen canvas")["lit"] > 200, 20,
               "text on the screen")
    ann.order("type", on=".xterm-helper-textarea", text="xyzzy")
    ann.see("xyzzy", TERMINAL)
    picture(ann, "console")


@pytest.mark.qemu
def test_an_image_of_ones_own_is_booted_and_the_tab_may_close_and_come_back(sp, ann):
    own = isos.hello("PAGELOCAL")
    ann.go("media")
    ann.order("offer", label="File", path=str(own))
    ann.click("Insert from this computer")
    ann.see("VolumePAGELOCAL", CD, 30)
    ann.see("operational", CD)
    ann.see("The host reads from this page", "[aria-labelledby=local]")
    picture(ann, "media-local")
    must(sp, "reset -force -script /SYS")
    ann.go("console")
    ann.see("HELLO volume=PAGELOCAL", TERMINAL, 60)
    ann.go("logs")
    ann.see("HELLO volume=PAGELOCAL", "[aria-labelledby=bootlog]")
    ann.order("reload")  # as closing the tab does: the file is chosen anew
    ann.go("media")
    ann.see("reconnecting", CD)
    ann.see("Choose the same file", "[aria-labelledby=local]")
    ann.order("offer", label="File", path=str(own))
    ann.click("Go on")
    ann.see("operational", CD)
    ann.click("Eject: Virtual CD")
    ann.see("The image was ejected", "[aria-labelledby=local]")
    ann.go("console")
    ann.see("You type", "[aria-labelledby=serial-title]")


@pytest.mark.qemu
def test_the_library_fills_the_other_drives(sp, ann, server):
    cd2, usb, library = "[aria-labelledby=drive-Cd2]", "[aria-labelledby=drive-Usb]", "[aria-labelledby=library]"
    ann.go("media")
    ann.fill("Load from", server.uri("hello-LOMHELLO.iso").replace("sshfs://", f"sftp://{server.username}@"))
    ann.fill("Password there", server.password)
    ann.click("Load", library)
    ann.see("LOMHELLO", library)
    ann.click("Insert hello-LOMHELLO.iso")
    ann.order("choose", label="Drive", value="Cd2")
    ann.click("Insert", "dialog")
    ann.see("operational", cd2)
    ann.see("Second virtual CD", library)  # which uses it
    ann.click("Insert: Virtual USB disk")
    ann.fill("Address", "/SP/media/none.iso")
    ann.click("Insert", "dialog")
    ann.see("none.iso", "dialog [role=alert]")
    ann.fill("Address", "/SP/media/hello-LOMHELLO.iso")
    ann.click("Insert", "dialog")
    ann.see("operational", usb)
    ann.order("settle")
    assert ann.order("axe") == []
    picture(ann, "media-library")
    ann.click("Delete hello-LOMHELLO.iso")
    ann.click("Delete", "dialog")
    ann.see("in use by", ".notes")
    ann.click("Close this message", ".note.bad")
    ann.click("Eject: Second virtual CD")
    ann.see("empty", cd2)
    ann.click("Eject: Virtual USB disk")
    ann.see("empty", usb)
    ann.click("Delete hello-LOMHELLO.iso")
    ann.click("Delete", "dialog")
    ann.order("miss", text="LOMHELLO", within=library)
    ann.go("console")
    ann.see("You type", "[aria-labelledby=serial-title]")


@pytest.mark.qemu
def test_a_second_browser_takes_over_and_changes_show_at_once(sp, ann, browser):
    bob = browser.person("bob", url(sp), dark=True)
    bob.log_in("root", PASSWORD)
    bob.go("console")
    bob.see("types", "[aria-labelledby=serial-title]")
    bob.see("xyzzy", TERMINAL)  # the history
    bob.see("2 at the console", "[aria-labelledby=serial-title]")
    bob.click("Ask for the serial console")
    ann.see("asks for the serial console", "[aria-labelledby=serial-title]")
    ann.click("Keep", "[aria-labelledby=serial-title]")
    bob.see("keeps it", ".notes")
    bob.click("Ask for the serial console")
    ann.click("Give", "[aria-labelledby=serial-title]")
    bob.see("You type", "[aria-labelledby=serial-title]")
    ann.see("types", "[aria-labelledby=serial-title]")
    ann.click("Take over the serial console")  # without asking
    ann.see("You type", "[aria-labelledby=serial-title]")
    bob.click("Take over the serial console")
    bob.see("You type", "[aria-labelledby=serial-title]")
    bob.order("type", on=".xterm-helper-textarea", text="plugh")
    ann.see("plugh", TERMINAL)

    ann.go("overview")
    ann.see("Virtual Host", "main")
    picture(ann, "overview")
    bob.click("Power off")
    bob.click("Power off", "dialog")
    ann.see("Host off", ".bar", 20)
    bob.click("Power on")
    ann.see("Host on", ".bar", 20)
    bob.go("overview")
    bob.see("The host is powered on", "main")
    wait_until(lambda: bob.order("pixels", canvas=".thumbnail canvas")["lit"] > 200, 20, "the thumbnail")
    picture(bob, "overview-dark")


def test_users_are_made_changed_and_deleted(sp, ann):
    ann.go("users")
    ann.click("New account")
    ann.fill("Name", "carol")
    ann.fill("Password", "Battery-Staple-9")
    ann.order("check", label="Console")
    ann.click("Create")
    ann.see("carol", "[aria-labelledby=accounts]")
    assert "role = co" in sp.lom("show", "/SP/users/carol").stdout
    ann.click("Edit carol")
    ann.order("check", label="Reset and host control")
    ann.click("Save", "dialog")
    wait_until(lambda: "role = cro" in sp.lom("show", "/SP/users/carol").stdout, 5, "the new role")
    ann.click("Delete carol")
    ann.click("Delete", "dialog")
    wait_until(lambda: "carol" not in sp.lom("show", "/SP/users").stdout, 5, "carol has gone")


def test_what_the_shell_changes_shows_at_once(sp, ann):
    ann.go("processor")
    ann.see("System location", "main")
    sp.lom("set", "/HOST", "boot_device=bios")
    ann.go("overview")
    ann.see("bios", "[aria-labelledby=problems]")
    started = time.monotonic()
    sp.lom("set", "/HOST", "boot_device=default")
    ann.see("default", "[aria-labelledby=problems]", 5)
    assert time.monotonic() - started < 5


def test_webhooks_and_open_problems_are_there(sp, ann):
    ann.go("services")
    ann.fill("Address of the receiver", "https://127.0.0.1:1/events")
    ann.click("Add", "[aria-labelledby=webhooks]")
    ann.see("https://127.0.0.1:1/events", "[aria-labelledby=webhooks]")
    ann.click("Delete webhook 1")
    ann.click("Delete", "dialog")
    ann.order("miss", text="127.0.0.1:1", within="[aria-labelledby=webhooks]")

    ann.go("overview")
    ann.see("No open problems", "[aria-labelledby=problems]")
    must(sp, "set /SP/services/kvms/host_storage_device/remote server_URI=file:///nowhere/x.iso")
    sp.lom("set /SP/services/kvms/host_storage_device mode=remote")
    ann.see("Remote Storage", "[aria-labelledby=problems]")
    must(sp, "set /SP/services/kvms/host_storage_device mode=disabled")
    ann.see("No open problems", "[aria-labelledby=problems]")


@pytest.mark.parametrize("dark", [False, True])
def test_every_page_is_accessible_and_fits_a_phone(sp, browser, dark):
    dora = browser.person("dora", url(sp), width=390, height=800, dark=dark)
    dora.log_in("root", PASSWORD)
    problems = {}
    for page, heading in PAGES.items():
        dora.go(page)
        dora.see(heading, "main h1")
        dora.order("settle")
        if found := dora.order("axe"):
            problems[page] = found
        assert dora.order("sideways") <= 0, page
    assert problems == {}
    dora.click("Log out")


def test_the_keyboard_alone_reaches_another_page(sp, browser):
    kim = browser.person("kim", url(sp))
    kim.order("type", on="#user", text="root")
    kim.order("press", key="Tab")
    kim.order("type", on=":focus", text=PASSWORD)
    kim.order("press", key="Enter")
    kim.see("Overview", "h1")

    def at(text):
        kim.order("press", key="Tab")
        return kim.order("focused") == text
    wait_until(lambda: at("Logs"), 20, "the link in the navigation")
    kim.order("press", key="Enter")
    kim.see("Logs", "h1")


def refreshed(viewer):
    """Whether the screen still sends its viewer a whole picture."""
    before = viewer.updates
    viewer.request(False)
    while viewer.updates == before:
        viewer.take_message()
    return True


def test_the_page_and_five_viewers_live_through_a_killed_lomd(sp, ann):
    client = Client(sp)
    viewers = [Viewer(Wire(WebSocket(sp.ports["https"], "/console/screen?access=view", client.headers)))
               for _ in range(5)]
    ann.go("console")
    ann.see("You type", "[aria-labelledby=serial-title]")
    ann.go("overview")
    ann.see("Virtual Host", "main")
    sp.kill9()
    ann.see("does not answer", "main", 10)
    assert all(refreshed(viewer) for viewer in viewers)
    sp.start()
    back = time.monotonic()
    ann.order("miss", text="does not answer", within="main")
    ann.see("Virtual Host", "main")
    whole = time.monotonic() - back
    ann.go("console")
    ann.see("You type", "[aria-labelledby=serial-title]")
    assert all(refreshed(viewer) for viewer in viewers)
    assert client.get("/redfish/v1/Systems/host0").status == 200
    for viewer in viewers:
        viewer.close()
    assert whole < 3


def test_nothing_was_asked_of_others_nor_forbidden(sp, ann, browser):
    ann.click("Log out")
    ann.see("You have logged out.")
    assert browser.order("hosts") == [f"127.0.0.1:{sp.ports['https']}"]
    assert browser.order("complaints") == []
