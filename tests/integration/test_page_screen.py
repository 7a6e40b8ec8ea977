"""The screen on the real page in Chromium: typed on, pasted to, asked for, and seen to change. The
host runs a disk whose program echoes its keyboard on the screen (support/screen_guest.asm)."""

import subprocess

import pytest

from tests.support import isos
from tests.support.browser import Browser
from tests.support.guest import get, must
from tests.support.lomd import PASSWORD, Lomd, wait_until

MISSING = Browser.missing() or Lomd.missing()
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(bool(MISSING), reason=MISSING or "built")]

SCREEN = "[aria-labelledby=screen-title]"
CANVAS = ".screen canvas"


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        disk = next((lomd.state_dir / "hosts/host0").glob("disk0*"))
        subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2",
                        isos.screen_guest(), disk], check=True)
        must(lomd, "set /System/Memory installed_memory=128M")
        must(lomd, "start -script /SYS")
        wait_until(lambda: "SCREEN READY" in shown(lomd), 60, "the guest")
        yield lomd


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


def person(sp, browser, name):
    one = browser.person(name, f"https://127.0.0.1:{sp.ports['https']}/", width=1500)
    one.log_in("root", PASSWORD)
    one.go("console")
    wait_until(lambda: lit(one) > 100, 20, "the guest's screen on the page")
    return one


@pytest.fixture(scope="module")
def ann(sp, browser):
    one = person(sp, browser, "ann")
    one.see("You type", SCREEN)
    return one


def shown(sp):
    return sp.lom("show", "/HOST/screen").stdout


def picture(who):
    return who.order("pixels", canvas=CANVAS)["sum"]


def lit(who):
    return who.order("pixels", canvas=CANVAS)["lit"]


def test_what_is_typed_on_the_screen_shows_there(sp, ann):
    before = picture(ann)
    ann.order("type", on=CANVAS, text="typed here")
    wait_until(lambda: "typed here" in shown(sp), 10, "the guest has the keys")
    wait_until(lambda: picture(ann) != before, 10, "the page shows them")
    ann.see(" ms", SCREEN)  # the latency meter


def test_a_text_is_pasted_in_the_layout_that_is_chosen(sp, ann):
    ann.click("Paste", SCREEN)
    ann.order("choose", label="Keyboard layout that the host expects", value="de")
    wait_until(lambda: get(sp, "/SP/services/kvms", "keyboard_layout") == "de", 5, "the layout")
    ann.fill("Text, typed as keys", "yz")
    ann.click("Type it")
    wait_until(lambda: "zy" in shown(sp), 10, "as the guest, which takes them for us keys, has it")
    must(sp, "set /SP/services/kvms keyboard_layout=us")


def test_the_lights_of_the_keyboard_show(sp, ann):
    must(sp, "set /HOST/screen send_keys=f6")
    ann.see("num lock, caps lock", SCREEN)
    must(sp, "set /HOST/screen send_keys=f1")


def test_a_second_browser_asks_for_the_screen_and_gets_it(sp, ann, browser):
    bob = person(sp, browser, "bob")
    bob.see("types", SCREEN)
    bob.see("2 at the screen", SCREEN)
    bob.click("Ask for the screen")
    ann.see("asks for the screen", SCREEN)
    assert ann.order("axe") == []
    ann.click("Give", SCREEN)
    bob.see("You type", SCREEN)
    bob.order("type", on=CANVAS, text="bob types")
    wait_until(lambda: "bob types" in shown(sp).lower(), 10, "the guest has bob's keys")
    ann.order("type", on=CANVAS, text="QQQ")
    ann.click("Take over the screen")
    ann.see("You type", SCREEN)
    assert "qqq" not in shown(sp).lower()


def test_a_role_taken_away_shows_on_the_page_at_once(sp, browser, ann):
    must(sp, "create /SP/users/eve role=co password=Evening-Person-1")
    eve = browser.person("eve", f"https://127.0.0.1:{sp.ports['https']}/", width=1500)
    eve.log_in("eve", "Evening-Person-1")
    eve.go("console")
    wait_until(lambda: lit(eve) > 100, 20, "the guest's screen on the page")
    eve.click("Take over the screen")
    eve.see("You type", SCREEN)
    must(sp, "set /SP/users/eve role=o")
    wait_until(lambda: "eve (127.0.0.1) looks" in get(sp, "/HOST/screen", "viewers"), 1, "she looks only")
    must(sp, "delete -script /SP/users/eve")


def test_nothing_was_forbidden_to_the_page(browser, ann):
    assert browser.order("complaints") == []
