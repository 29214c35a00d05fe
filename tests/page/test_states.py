"""What the page says when an answer is late, poor, partial or does not come at all."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed (the extra `dev`)")

from playwright.sync_api import Route, expect

from gateway.domain.errors import BackendUnavailable
from tests.page.browser import Visit
from tests.page.serving import KEY, Served, photo

pytestmark = [pytest.mark.page, pytest.mark.slow]

SEARCH = "**/v1/search"
FAILED_LOAD = re.compile("Failed to load resource")


def expected(visit: Visit) -> None:
    """The browser says in the console that an answer was an error; here it was meant to be."""
    visit.complaints = [said for said in visit.complaints if not FAILED_LOAD.search(said)]


def answer_with(visit: Visit, **changed: Any) -> None:
    """Changes members of every answer to a search."""

    def handle(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json={**response.json(), **changed})

    visit.page.route(SEARCH, handle)


def refuse_with(visit: Visit, status: int, problem: dict[str, Any], **headers: str) -> None:
    """Answers every search with a problem."""
    visit.page.route(
        SEARCH, lambda route: route.fulfill(status=status, json=problem, headers=headers)
    )


def test_a_problem_is_shown_with_its_detail_and_a_way_to_try_again(
    visit: Visit, served_shop: Served
) -> None:
    served_shop.shop.inference.failing = BackendUnavailable("Triton does not answer.")
    visit.open().show(photo("red"))
    trouble = visit.page.locator("#trouble")
    expect(trouble).to_contain_text("The search is not answering")
    expect(trouble).to_contain_text("Triton does not answer.")
    expect(trouble).to_contain_text("Request ")
    served_shop.shop.inference.failing = None
    visit.press("Try again")
    expect(visit.first).to_have_text(re.compile("^Red "))
    expect(trouble).to_be_hidden()
    expected(visit)


def test_without_the_model_words_still_find(visit: Visit, served_shop: Served) -> None:
    served_shop.shop.inference.failing = BackendUnavailable("Triton does not answer.")
    visit.open("?q=glove")
    expect(visit.page.locator("#trouble")).to_contain_text("Triton does not answer.")
    visit.press("Search by words alone")
    notice = visit.page.locator("#notice")
    expect(notice).to_contain_text("Found by words alone")
    expect(visit.titles).to_have_count(6)
    assert visit.searches[-1]["mode"] == "text"
    served_shop.shop.inference.failing = None
    notice.get_by_role("button", name="Try again").click()
    expect(notice).to_be_hidden()
    expect(visit.titles).to_have_count(24)
    expected(visit)


def test_a_degraded_answer_is_called_one(visit: Visit) -> None:
    answer_with(visit, degraded=True)
    visit.open("?q=red")
    expect(visit.page.locator("#notice")).to_contain_text("Found by words alone")


def test_no_good_match_is_said_and_the_nearest_are_shown(visit: Visit) -> None:
    answer_with(visit, confident=False)
    visit.open("?q=red")
    expect(visit.page.locator("#notice")).to_contain_text("No close match in this shop")
    expect(visit.titles).to_have_count(24)


@pytest.mark.parametrize("confident", [True, None])
def test_a_good_match_and_an_unknown_one_need_no_words(
    visit: Visit, confident: bool | None
) -> None:
    answer_with(visit, confident=confident)
    visit.open("?q=red")
    expect(visit.titles).to_have_count(24)
    expect(visit.page.locator("#notice")).to_be_hidden()


def test_nothing_found_is_not_a_blank_page(visit: Visit) -> None:
    answer_with(visit, hits=[])
    visit.open("?q=red")
    expect(visit.page.locator("#notice")).to_contain_text("Nothing found")
    expect(visit.page.get_by_role("status")).to_have_text("Nothing found.")


def test_while_an_answer_is_late_the_page_shows_that_it_waits(visit: Visit) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visit.page.route(SEARCH, hold)
    visit.open("?q=red")
    expect(visit.page.locator("#grid .skeleton")).to_have_count(12)
    expect(visit.page.locator("#grid")).to_have_attribute("aria-busy", "true")
    for route in held:
        route.continue_()
    visit.page.unroute(SEARCH)
    expect(visit.titles).to_have_count(24)
    expect(visit.page.locator("#grid")).not_to_have_attribute("aria-busy", "true")


def test_a_full_gateway_says_when_to_come_back(visit: Visit) -> None:
    problem = {"type": "urn:lookalike:overloaded", "detail": "All 4 slots are taken."}
    refuse_with(visit, 429, problem, **{"Retry-After": "3"})
    visit.open("?q=red")
    trouble = visit.page.locator("#trouble")
    expect(trouble).to_contain_text("Many people are searching right now")
    expect(trouble).to_contain_text("All 4 slots are taken. Try again in 3 s.")
    expected(visit)


def test_no_connection_is_told_from_an_error(visit: Visit) -> None:
    visit.page.route(SEARCH, lambda route: route.abort())
    visit.open("?q=red")
    expect(visit.page.locator("#trouble")).to_contain_text("No connection")
    visit.page.unroute(SEARCH)
    visit.press("Try again")
    expect(visit.titles).to_have_count(24)
    expected(visit)


def test_an_item_that_is_gone_is_said_to_be_gone(visit: Visit) -> None:
    visit.open("?like=nothing")
    trouble = visit.page.locator("#trouble")
    expect(trouble).to_contain_text("That is not in the shop any more")
    expected(visit)


def test_a_gateway_with_keys_is_given_one(visit: Visit, served_shop: Served) -> None:
    visit.url = served_shop.locked_url
    visit.open("?q=red")
    expect(visit.page.locator("#trouble")).to_contain_text("This shop asks for a key")
    visit.page.get_by_label("Key").fill("wrong")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#trouble")).to_contain_text("no key of this gateway")
    visit.page.get_by_label("Key").fill(KEY)
    visit.page.keyboard.press("Enter")
    expect(visit.titles).to_have_count(24)
    picture = visit.page.locator("#grid img").first
    expect(picture).to_have_js_property("naturalWidth", 32)
    expected(visit)


def test_a_token_replaces_the_picture_until_the_shop_changes_its_model(visit: Visit) -> None:
    """As a gateway with query tokens answers; see docs of `return_query`."""
    known = {"token-1"}

    def tokens(route: Route) -> None:
        body: dict[str, Any] = json.loads(route.request.post_data or "")
        parts = body["query"]
        if any(part["token"] not in known for part in parts if "token" in part):
            route.fulfill(status=409, json={"detail": "The token is of another release."})
            return
        plain = [{"text": "red"} if "token" in part else part for part in parts]
        sent = {"query": plain, "limit": body["limit"], "filter": body.get("filter")}
        response = route.fetch(post_data=sent)
        route.fulfill(response=response, json={**response.json(), "query_token": "token-1"})

    visit.page.route(SEARCH, tokens)
    visit.open().show(photo("red"))
    expect(visit.titles).to_have_count(24)
    visit.chip("hats").check()
    expect(visit.titles).to_have_count(6)
    assert visit.searches[-1]["query"] == [{"token": "token-1"}]
    known.clear()
    visit.page.get_by_role("checkbox", name="hats").uncheck()
    expect(visit.titles).to_have_count(24)
    assert "image" in visit.searches[-1]["query"][0]
    expected(visit)
