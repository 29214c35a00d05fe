"""The page for everybody: small screens, keyboards, screen readers, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

pytest.importorskip("playwright", reason="playwright is not installed (the extra `dev`)")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ViewportSize, expect

from gateway.domain.errors import BackendUnavailable
from tests.page.browser import Visit
from tests.page.serving import Served, photo

pytestmark = [pytest.mark.page, pytest.mark.slow]

NARROW: ViewportSize = {"width": 320, "height": 640}
# What fades or moves is done (what never ends is not waited for): half-faded
# words have less contrast.
AT_REST = """() => Promise.race([
  Promise.allSettled(document.getAnimations().map((animation) => animation.finished)),
  new Promise((done) => setTimeout(done, 1000)),
]).then(() => null)"""
GRAVE = ("serious", "critical")


def start(visit: Visit) -> None:
    visit.open()
    expect(visit.page.locator("#shelf-items .card")).to_have_count(12)


def results(visit: Visit) -> None:
    visit.open().show(photo("red"))
    expect(visit.titles).to_have_count(24)
    visit.press("Not like this: Red hat")
    expect(visit.page.locator("#chosen")).to_be_visible()
    visit.page.locator("#filters").evaluate("filters => { filters.open = true; }")


def cropping(visit: Visit) -> None:
    visit.open().show(photo("red", "blue"))
    expect(visit.titles).to_have_count(24)
    with visit.page.expect_response("**/v1/search"):
        visit.press("Search a part")
    expect(visit.heading).to_have_text("Like that part of your picture")
    expect(visit.page.locator("#grid")).not_to_have_attribute("aria-busy", "true")


def nothing_left(visit: Visit) -> None:
    visit.open("?q=red&brand=Nobody")
    expect(visit.page.locator("#notice")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("state", [start, results, cropping, nothing_left])
def test_axe_finds_nothing_serious(
    visit: Visit, state: Callable[[Visit], None], width: int, scheme: Literal["light", "dark"]
) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    # Colours that are on their way from one to another have no contrast to be measured.
    visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    state(visit)
    visit.page.evaluate(AT_REST)
    found = [
        (violation["id"], violation["nodes"][0]["html"], violation["nodes"][0]["failureSummary"])
        for violation in Axe().run(visit.page).response["violations"]
        if violation["impact"] in GRAVE
    ]
    assert found == []


def test_axe_finds_nothing_serious_in_an_error(visit: Visit, served_shop: Served) -> None:
    served_shop.shop.inference.failing = BackendUnavailable("Triton does not answer.")
    visit.open("?like=hats%2Fred&q=")
    visit.open().show(photo("red"))
    expect(visit.page.locator("#trouble")).to_be_visible()
    visit.page.evaluate(AT_REST)
    found = Axe().run(visit.page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in GRAVE] == []
    visit.complaints.clear()


@pytest.mark.parametrize("state", [start, results, cropping])
def test_a_narrow_screen_does_not_scroll_sideways(
    visit: Visit, state: Callable[[Visit], None]
) -> None:
    visit.page.set_viewport_size(NARROW)
    state(visit)
    width = visit.page.evaluate("document.documentElement.scrollWidth")
    assert width == NARROW["width"]


def test_on_a_narrow_screen_filters_wait_to_be_opened(visit: Visit) -> None:
    visit.page.set_viewport_size(NARROW)
    visit.open("?q=red")
    expect(visit.titles).to_have_count(24)
    chip = visit.page.get_by_role("checkbox", name="hats")
    expect(chip).to_be_hidden()
    visit.page.get_by_text("Filters", exact=True).click()
    visit.page.locator("label", has=visit.chip("hats")).click()
    expect(visit.titles).to_have_count(6)


def test_a_finger_can_size_the_part(visit: Visit, served_shop: Served) -> None:
    browser = visit.page.context.browser
    assert browser is not None
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    touch = Visit(context.new_page(), served_shop.url)
    touch.open()
    expect(touch.page.get_by_role("button", name="Take a photo")).to_be_visible()
    touch.show(photo("red", "blue"))
    expect(touch.titles).to_have_count(24)
    touch.page.get_by_role("button", name="Search a part").tap()
    expect(touch.heading).to_have_text("Like that part of your picture")
    for grip in touch.page.locator(".crop button").all():
        box = grip.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24
    context.close()
    assert touch.complaints == []


def test_everything_can_be_reached_by_keyboard(visit: Visit) -> None:
    visit.open("?q=red+hat")
    expect(visit.titles).to_have_count(24)
    visit.page.keyboard.press("Tab")
    expect(visit.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.heading).to_be_focused()
    names = []
    for _ in range(5):
        visit.page.keyboard.press("Tab")
        names.append(
            visit.page.evaluate(
                "document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()"
            )
        )
    after = names.index("Copy link") + 1
    first = visit.first.inner_text()
    assert names[after : after + 2] == [f"More like this: {first}", f"Not like this: {first}"]
    outline = visit.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_who_wants_less_motion_gets_none(visit: Visit) -> None:
    visit.page.emulate_media(reduced_motion="reduce")
    visit.page.route("**/v1/search", lambda route: None)
    visit.open("?q=red")
    tile = visit.page.locator(".skeleton .tile").first
    expect(tile).to_have_css("animation-name", "none")
