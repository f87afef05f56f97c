"""The result page in a real browser: sorting, switching, themes, phones, keyboards, and no request to anyone."""

from pathlib import Path

import pytest
from browser import visit
from page_runs import HOSTILE, make_page
from stream_runs import write_stream

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
RESULTS = "#synthetic-20-4-0-results-0"


@pytest.fixture
def desk(browser, page_file):
    with visit(browser, page_file, "#synthetic-20-4") as seen:
        yield seen
        assert seen.complaints == []
        assert seen.requests == []


def shown(page, table, column):
    """The texts of one column as they stand now, body after body."""
    return page.eval_on_selector_all(
        f"{table} tbody tr", f"rows => rows.map(row => row.cells[{column}].innerText.split(/\\s/)[0])"
    )


def head(page, title, table=RESULTS):
    return page.locator(f"{table} thead button").get_by_text(title, exact=True)


def order(page, title, table=RESULTS):
    return head(page, title, table).locator("..").get_attribute("aria-sort")


def test_a_click_sorts_best_first_and_the_next_one_turns_it(desk):
    page = desk.page
    assert order(page, "mAP") == "none"
    head(page, "mAP").click()
    assert order(page, "mAP") == "descending"
    assert shown(page, RESULTS, 2) == ["30.00", "10.00", "9.50", "60.00"]  # 9.5 after 10: numbers, not texts
    head(page, "mAP").click()
    assert order(page, "mAP") == "ascending"
    assert shown(page, RESULTS, 2) == ["9.50", "10.00", "30.00", "60.00"]  # the upper bound stays in its own body
    head(page, "FR").click()
    assert (order(page, "FR"), order(page, "mAP")) == ("ascending", "none")  # forgetting: the least is the best


def test_what_is_missing_comes_last_either_way(desk):
    page = desk.page
    column = page.eval_on_selector_all(f"{RESULTS} thead th", "heads => heads.map(h => h.innerText.trim())").index("FR")
    head(page, "FR").click()
    assert shown(page, RESULTS, column) == ["9.00", "35.00", "-", "-"]
    head(page, "FR").click()
    assert shown(page, RESULTS, column) == ["35.00", "9.00", "-", "-"]


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_sorts_and_the_order_is_announced(desk, key):
    head(desk.page, "mAP").focus()
    desk.page.keyboard.press(key)
    assert order(desk.page, "mAP") == "descending"
    assert desk.page.inner_text("#announce") == "Sorted by mAP, descending"
    assert desk.page.locator("#announce").get_attribute("aria-live") == "polite"


def test_the_scenario_switch_shows_one_stream_by_click_and_by_arrow(browser, page_file):
    with visit(browser, page_file) as seen:
        page = seen.page
        large, small = page.locator("#synthetic-20-4"), page.locator("#synthetic-10-10")  # the one with most rows first
        assert (large.is_visible(), small.is_visible()) == (True, False)
        page.get_by_role("radio", name="synthetic-10-10").click()
        assert (large.is_visible(), small.is_visible()) == (False, True)
        page.locator("input[name=scenario]:checked").focus()
        page.keyboard.press("ArrowLeft")
        assert (large.is_visible(), small.is_visible()) == (True, False)
        assert page.url.endswith("#synthetic-20-4")  # so that it can be sent to someone
        page.evaluate("location.hash = '#synthetic-10-10-protocol'")
        page.locator("#synthetic-10-10-protocol").wait_for(state="visible")
        assert page.locator("input[name=scenario]:checked").input_value() == "synthetic-10-10"
        assert seen.complaints == []


def test_metric_and_learner_are_chosen_from_lists(desk):
    page = desk.page
    page.select_option("#synthetic-20-4-metric", label="AR1")
    assert page.locator("[data-panel=synthetic-20-4-metric]:visible caption").inner_text().startswith("AR1")
    page.select_option("#synthetic-20-4-learner", label="CoMBO (re-implementation from the paper)")
    caption = page.locator("[data-panel=synthetic-20-4-learner]:visible caption").inner_text()
    assert "CoMBO (re-implementation from the paper), seed 0" in caption


def test_tab_reaches_the_skip_link_first_and_focus_can_be_seen(desk):
    desk.page.evaluate("history.replaceState(null, '', location.pathname); scrollTo({top: 0, behavior: 'instant'})")
    desk.page.reload()
    desk.page.keyboard.press("Tab")
    link = desk.page.locator(".skip")
    assert link.evaluate("link => link === document.activeElement")
    assert link.bounding_box()["y"] >= 0
    desk.page.keyboard.press("Enter")
    assert desk.page.evaluate("document.activeElement.id") == "main"
    button = head(desk.page, "mAP")
    button.focus()
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.press("Shift+Tab")
    assert button.evaluate("b => getComputedStyle(b).outlineStyle") == "solid"


def test_the_system_chooses_the_theme_until_the_button_is_pressed(browser, page_file):
    colour = "getComputedStyle(document.body).backgroundColor"
    with visit(browser, page_file, color_scheme="dark") as dark, visit(browser, page_file) as light:
        night, day = dark.page.evaluate(colour), light.page.evaluate(colour)
        assert day == "rgb(255, 255, 255)"
        assert max(map(int, night[4:-1].split(","))) < 40
        assert (dark.page.inner_text("#theme"), light.page.inner_text("#theme")) == ("Light theme", "Dark theme")
        light.page.click("#theme")
        assert light.page.evaluate(colour) == night
        assert light.page.inner_text("#theme") == "Light theme"
        light.page.click("#theme")
        assert light.page.evaluate(colour) == day


def test_on_a_phone_only_the_tables_scroll_sideways(browser, page_file):
    with visit(browser, page_file, "#synthetic-20-4", **PHONE) as seen:
        assert seen.page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
        box = seen.page.locator(f".scroll:has({RESULTS})")
        assert box.evaluate("box => box.scrollWidth > box.clientWidth")
        box.evaluate("box => box.scrollLeft = 200")
        row = seen.page.locator(f"{RESULTS} tbody tr").first
        assert row.locator("th").bounding_box()["x"] >= 0  # names stay in sight
        heights = row.evaluate("row => [...row.cells].map(cell => cell.getBoundingClientRect().height)")
        assert len({*heights}) == 1  # and the rule below them goes through: it is not rounded
        assert heights[0] == int(heights[0])
        assert seen.page.locator("details.long[open]").count() == 0
        seen.page.evaluate("scrollTo({top: 3000, behavior: 'instant'})")
        assert seen.page.locator("#synthetic-20-4 .contents").bounding_box()["y"] == 0  # nor do the contents go away
        assert seen.complaints == []


def test_without_scripts_everything_stands_below_each_other(browser, page_file):
    with visit(browser, page_file, java_script_enabled=False) as seen:
        assert seen.page.locator("#synthetic-10-10").is_visible()
        assert seen.page.locator("#synthetic-20-4").is_visible()
        assert seen.page.locator("select:visible, fieldset:visible, #theme:visible").count() == 0


def test_the_policy_lets_nothing_out_and_no_foreign_script_in(browser, page_file):
    with visit(browser, page_file) as seen:
        blocked = seen.page.evaluate("""async () => {
            const blocked = [];
            addEventListener("securitypolicyviolation", event => blocked.push(event.effectiveDirective));
            await fetch("https://example.org/").catch(() => 0);
            const image = new Image();
            image.src = "https://example.org/a.png";
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(image, script);
            await new Promise(done => setTimeout(done, 200));
            return [blocked.sort(), window.ran === true];
        }""")
        assert blocked == [["connect-src", "img-src", "script-src-elem"], False]
        assert seen.left == []


def test_hostile_names_are_text_and_run_nothing(browser, tmp_path):
    folder = write_stream(tmp_path / "runs", scenario="plain", label=HOSTILE, protocol={HOSTILE: HOSTILE})
    path = folder / "metrics.json"
    text = path.read_text().replace("dog & <b>", HOSTILE.replace('"', '\\"'))
    path.write_text(text.replace('"plain"', '"' + HOSTILE.replace('"', '\\"') + '"'))
    (folder / "run.json").write_text('{"environment": {"gpu": "<img src=x onerror=alert(2)>"}}')
    write_stream(tmp_path / "runs", "other", mAP=None, scenario="second")
    with visit(browser, make_page(tmp_path / "runs", tmp_path / "out", title=HOSTILE)) as seen:
        page = seen.page
        assert page.inner_text("h1") == HOSTILE
        assert page.title() == HOSTILE
        assert page.locator("tbody th").get_by_text(HOSTILE, exact=True).count() >= 3  # as learner and as class
        assert page.locator("h2").first.inner_text().startswith(HOSTILE)
        assert page.get_by_text("<img src=x onerror=alert(2)>").count() >= 1
        assert page.locator("script").count() == 1
        assert page.locator("img").count() == 0
        assert (seen.complaints, seen.requests) == ([], [])


def test_videos_are_those_of_one_learner_or_of_all(browser, page_file, tmp_path):
    """A page of videos takes a data set; here the markup is put into a page without."""
    page = Path(page_file).read_text()
    figures = "".join(f'<figure class="video" data-learner="{name}"><video></video></figure>' for name in "aba")
    options = "<option value=''>all</option><option>a</option><option>b</option>"
    section = f"<section id=films><select data-learners>{options}</select>{figures}</section>"
    (tmp_path / "page.html").write_text(page.replace("</main>", f"{section}</main>"))
    for context, begins in (({}, 3), (PHONE, 2)):
        with visit(browser, tmp_path / "page.html", **context) as seen:
            films = seen.page.locator("#films figure:not([hidden])")
            assert films.count() == begins
            counts = []
            for choice in ("b", "a", "all"):
                seen.page.select_option("[data-learners]", label=choice)
                counts.append(films.count())
            assert counts == [1, 2, 3]


def test_videos_play(browser, finished, tmp_path):
    path = make_page(finished, tmp_path, videos=1)
    with visit(browser, path) as seen:
        page, video = seen.page, seen.page.locator("video").first
        assert "ground truth, step 0: 2 classes, step 1: 3 classes" in video.get_attribute("aria-label")
        page.get_by_role("button", name="Play all of Video").click()
        handle = video.element_handle()
        page.wait_for_function("v => v.currentTime > 0 && !v.paused && v.readyState >= 2", arg=handle)
        assert video.evaluate("v => [v.videoWidth, v.videoHeight, v.error]")[2] is None
        assert video.evaluate("v => Math.abs(v.videoWidth / v.videoHeight - v.width / v.height)") < 0.05
        page.get_by_role("button", name="Pause all of Video").click()
        assert video.evaluate("v => v.paused")
        assert (seen.complaints, seen.requests) == ([], [])
