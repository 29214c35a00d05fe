"""What a shopper can do on the page, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

pytest.importorskip("playwright", reason="playwright is not installed (the extra `dev`)")

from playwright.sync_api import expect

from tests.page.browser import Visit
from tests.page.serving import ITEMS, photo

pytestmark = [pytest.mark.page, pytest.mark.slow]

# Gives the page a file as the browser does when one is pasted, or dropped.
PASTE = """([name, data]) => {
  const files = new DataTransfer();
  files.items.add(new File([Uint8Array.from(data)], "photo.jpg", { type: "image/jpeg" }));
  const event = name === "paste"
    ? new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true })
    : new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


def category(title: str) -> str:
    """Of an item of the shop, by its title."""
    return next(item.category for item in ITEMS if item.title == title)


def test_a_picture_finds_what_looks_like_it(visit: Visit) -> None:
    visit.open().show(photo("red"))
    expect(visit.heading).to_have_text("Like your picture")
    expect(visit.first).to_have_text(re.compile("^Red "))
    expect(visit.page.get_by_role("status")).to_contain_text("24 results. First: Red")
    expect(visit.heading).to_be_focused()
    expect(visit.page.locator("#timing-text")).to_have_text(
        re.compile(r"decode [\d.]+ ms · model [\d.]+ ms · index [\d.]+ ms · [\d.]+ ms in all")
    )
    expect(visit.page.locator("#release")).to_have_text("colours-v1 · vector")


def test_a_card_shows_what_a_shopper_asks(visit: Visit) -> None:
    visit.open("?q=green+hat")
    card = visit.page.locator('.card[data-id="hats/green"]')
    expect(card).to_contain_text("Green hat")
    expect(card).to_contain_text("hats")
    expect(card.locator(".price")).to_have_text("17.00")
    expect(card.locator(".score")).to_contain_text(re.compile(r"0\.\d{3}"))
    picture = card.locator("img")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("img => img.naturalWidth") > 0


def test_a_phone_photo_is_scaled_and_turned_before_it_is_sent(visit: Visit) -> None:
    visit.open().show(photo("red", size=(2000, 1500), orientation=6))
    expect(visit.first).to_have_text(re.compile("^Red "))
    sent = visit.sent_picture()
    assert sent.format == "JPEG"
    assert sent.size == (384, 512)
    assert not sent.getexif()


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_may_be_pasted_or_dropped(visit: Visit, way: str) -> None:
    visit.open().page.evaluate(PASTE, [way, list(photo("blue"))])
    expect(visit.first).to_have_text(re.compile("^Blue "))


def test_words_and_a_picture_are_one_search(visit: Visit) -> None:
    visit.open().show(photo("red"))
    expect(visit.first).to_have_text(re.compile("^Red "))
    visit.type("red hat")
    expect(visit.heading).to_have_text("Like your picture, and “red hat”")
    expect(visit.first).to_have_text(re.compile("^Red "))
    expect(visit.titles.filter(has_text="Red hat")).to_have_count(1)
    kinds = [next(iter(part)) for part in visit.searches[-1]["query"]]
    assert kinds in (["image", "text"], ["token", "text"])


def test_what_is_no_picture_is_said_to_be_none(visit: Visit) -> None:
    visit.open().show(b"no picture", "notes.txt")
    expect(visit.page.get_by_role("alert")).to_contain_text("cannot read that file")
    assert not [search for search in visit.searches if "vector" not in search["query"][0]]


def test_a_part_of_the_picture_can_be_searched(visit: Visit) -> None:
    visit.open().show(photo("red", "blue"))
    expect(visit.titles).to_have_count(24)
    frame = visit.page.locator("#frame").bounding_box()
    assert frame is not None
    mouse = visit.page.mouse
    mouse.move(frame["x"] + frame["width"] * 0.6, frame["y"] + frame["height"] * 0.2)
    mouse.down()
    mouse.move(frame["x"] + frame["width"] * 0.9, frame["y"] + frame["height"] * 0.8, steps=4)
    mouse.up()
    expect(visit.heading).to_have_text("Like that part of your picture")
    expect(visit.first).to_have_text(re.compile("^Blue "))
    assert visit.sent_picture().size == pytest.approx((120, 180), abs=3)
    visit.press("Whole picture")
    expect(visit.heading).to_have_text("Like your picture")


def test_the_part_can_be_chosen_by_keyboard(visit: Visit) -> None:
    visit.open().show(photo("red", "blue"))
    expect(visit.titles).to_have_count(24)
    part = visit.page.get_by_role("button", name="Search a part")
    part.focus()
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("button", name="Part of the picture")).to_be_focused()
    visit.page.get_by_role("button", name="Top right corner").focus()
    for _ in range(4):
        visit.page.keyboard.press("Shift+ArrowLeft")
    expect(visit.first).to_have_text(re.compile("^Red "))
    visit.page.keyboard.press("Escape")
    expect(visit.heading).to_have_text("Like your picture")


def test_back_returns_to_the_picture(visit: Visit) -> None:
    visit.open().show(photo("red"))
    expect(visit.first).to_have_text(re.compile("^Red "))
    visit.press("More like this: Red shoe")
    expect(visit.heading).to_have_text("Like Red shoe")
    visit.page.go_back()
    expect(visit.heading).to_have_text("Like your picture")
    expect(visit.first).to_have_text(re.compile("^Red "))
    expect(visit.page.locator("#subject")).to_be_visible()


def test_a_chip_keeps_one_category_and_a_link_reproduces_it(visit: Visit) -> None:
    visit.open("?q=red")
    expect(visit.titles).to_have_count(24)
    visit.chip("hats").check()
    expect(visit.titles).to_have_count(6)
    assert {category(title) for title in visit.titles.all_inner_texts()} == {"hats"}
    expect(visit.page.locator("#filters-count")).to_have_text("(1)")
    found = visit.titles.all_inner_texts()
    visit.page.reload()
    expect(visit.titles).to_have_text(found)
    expect(visit.page.get_by_role("checkbox", name="hats")).to_be_checked()
    expect(visit.chip("shoes")).not_to_be_checked()
    visit.press("Clear filters")
    expect(visit.titles).to_have_count(24)
    assert visit.page.url.endswith("?q=red")


def test_two_values_of_a_field_widen_and_two_fields_narrow(visit: Visit) -> None:
    visit.open("?q=red&category=hats&category=shoes&brand=Arbor")
    expect(visit.titles).to_have_count(4)


def test_the_price_slider_is_a_filter(visit: Visit) -> None:
    visit.open("?q=red")
    expect(visit.titles).to_have_count(24)
    highest = visit.page.get_by_role("slider", name="Highest price")
    highest.focus()
    visit.page.keyboard.press("Home")
    expect(visit.page.locator("#price-said")).to_have_text(re.compile(r"^([\d.]+) to \1$"))
    visit.open("?q=red&price=10-15")
    expect(visit.titles).to_have_count(6)


def test_filters_that_leave_nothing_offer_a_way_back(visit: Visit) -> None:
    visit.open("?q=red&brand=Nobody")
    notice = visit.page.locator("#notice")
    expect(notice).to_contain_text("Nothing is left with these filters")
    notice.get_by_role("button", name="Clear filters").click()
    expect(visit.titles).to_have_count(24)


def test_more_like_this_leaves_the_item_itself_out(visit: Visit) -> None:
    visit.open("?q=blue+bag")
    visit.press("More like this: Blue bag")
    expect(visit.heading).to_have_text("Like Blue bag")
    expect(visit.heading).to_be_focused()
    expect(visit.first).to_have_text(re.compile("^Blue "))
    assert "Blue bag" not in visit.titles.all_inner_texts()
    assert "like=bags%2Fblue" in visit.page.url


def test_not_like_this_takes_it_away_until_it_is_undone(visit: Visit) -> None:
    visit.open("?q=red+shirt")
    first = visit.first.inner_text()
    visit.press(f"Not like this: {first}")
    chosen = visit.page.get_by_role("list", name="Part of this search")
    expect(chosen).to_contain_text(f"Not like {first}")
    expect(visit.first).not_to_have_text(first)
    assert first not in visit.titles.all_inner_texts()
    assert [part["weight"] for part in visit.searches[-1]["query"][1:]] == [-0.5]
    visit.press(f"Remove: Not like {first}")
    expect(visit.first).to_have_text(first)
    expect(chosen).to_be_hidden()


def test_a_link_names_its_items_by_their_titles(visit: Visit) -> None:
    visit.open("?like=hats%2Fgreen")
    expect(visit.heading).to_have_text("Like Green hat")


def test_scrolling_brings_everything_once(visit: Visit) -> None:
    visit.open("?q=red")
    expect(visit.titles).to_have_count(24)
    for count in (48, 60):
        visit.page.keyboard.press("End")
        visit.page.mouse.wheel(0, 20_000)
        expect(visit.titles).to_have_count(count)
    assert len(set(visit.titles.all_inner_texts())) == len(ITEMS)
    expect(visit.page.get_by_role("button", name="Show more")).to_be_hidden()
    expect(visit.page.get_by_role("status")).to_have_text("60 results shown.")


@pytest.mark.parametrize(("sort", "order"), [("price-up", sorted), ("price-down", None)])
def test_sorting_is_of_what_is_shown_and_says_so(
    visit: Visit, sort: str, order: Callable[[list[float]], list[float]] | None
) -> None:
    visit.open("?q=red")
    expect(visit.titles).to_have_count(24)
    visit.page.get_by_role("combobox", name="Sort").select_option(sort)
    expect(visit.page.locator("#sort-note")).to_contain_text("among the 24 most alike")
    prices = [float(text) for text in visit.page.locator(".price").all_inner_texts()]
    assert prices == (order(prices) if order else sorted(prices, reverse=True))
    visit.page.mouse.wheel(0, 20_000)
    visit.press("Show more")
    expect(visit.titles).to_have_count(48)


def test_a_link_says_that_a_picture_is_not_in_it(visit: Visit) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.open().show(photo("red"))
    expect(visit.titles).to_have_count(24)
    visit.press("Copy link")
    note = visit.page.locator("#link-note")
    expect(note).to_contain_text("A picture cannot be in a link")
    visit.type("hat")
    expect(visit.heading).to_contain_text("hat")
    visit.press("Copy link")
    expect(note).to_contain_text("The picture is not in it")
    copied = visit.page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{visit.url}?q=hat"


def test_the_start_offers_things_to_begin_with(visit: Visit) -> None:
    visit.open()
    shelf = visit.page.get_by_role("region", name="Or begin with something from the shop")
    expect(shelf.get_by_role("listitem")).to_have_count(12)
    shelf.get_by_role("button", name="More like this").first.click()
    expect(visit.heading).to_have_text(re.compile("^Like "))
