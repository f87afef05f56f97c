"""What a screen reader and weak eyes need of the result page, asked of a real browser."""

from itertools import pairwise

import pytest
from browser import visit

# Every element with text of its own: its colour against the first opaque background below it (WCAG 2.1, 1.4.3)
CONTRAST = """() => {
    document.querySelectorAll("[hidden]").forEach(e => e.hidden = false);
    document.querySelectorAll("details").forEach(e => e.open = true);
    const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = colour => {
        const [r, g, b] = colour.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        for (let e = element; e; e = e.parentElement) {
            const ground = rgba(getComputedStyle(e).backgroundColor);
            if (ground[3] === 255) return ground;
        }
        return [255, 255, 255];
    };
    const worst = [];
    for (const e of document.body.querySelectorAll("*")) {
        const hasText = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        if (!hasText || e.closest(".unseen, .skip, script, style, title, desc, video")) continue;
        const style = getComputedStyle(e);
        const ink = rgba(e instanceof SVGElement ? style.fill : style.color);
        const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) worst.push([e.tagName, e.textContent.trim().slice(0, 30), ratio]);
    }
    return worst;
}"""

UNNAMED = """() => [...document.querySelectorAll("button, a, input, select, video, [role=img], [role=region], summary")]
    .filter(e => {
        const ids = (e.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean);
        const labelled = ids.map(id => document.getElementById(id)?.textContent || "").join("");
        const label = e.labels ? [...e.labels].map(l => l.textContent).join("") : "";
        return !(e.getAttribute("aria-label") || labelled || label || e.textContent).trim();
    })
    .map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, browser, page_file):
    with visit(browser, page_file, color_scheme=request.param) as seen:
        yield seen.page


def test_everything_to_press_to_read_and_to_watch_has_a_name(page):
    assert page.evaluate(UNNAMED) == []


def test_every_text_can_be_told_from_its_ground(page):
    assert page.evaluate(CONTRAST) == []


def test_headings_go_down_one_level_at_a_time(page):
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "heads => heads.map(h => +h.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_scopes(page):
    tables = page.eval_on_selector_all("table", "all => all.map(t => t.caption ? t.caption.textContent.trim() : '')")
    assert len(tables) > 5
    assert all(tables)
    assert len(set(tables)) == len(tables)
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("tbody tr > :first-child:not(th[scope=row])").count() == 0
    assert page.locator("thead th:not(:has(> button))").count() == 0
    assert page.locator("thead th:not([aria-sort])").count() == 0


def test_figures_say_what_they_show(page):
    drawings = page.locator("svg")
    assert drawings.count() >= 3
    for i in range(drawings.count()):
        assert drawings.nth(i).locator("> title").text_content()
        assert len(drawings.nth(i).locator("> desc").text_content()) > 20


def test_ids_are_unique_and_every_reference_meets_one(page):
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    wanted = page.evaluate("""() => [...document.querySelectorAll("[aria-labelledby], [for], a")].flatMap(e =>
        (e.getAttribute("aria-labelledby") || e.getAttribute("for") || e.getAttribute("href").slice(1)).split(" "))""")
    assert set(wanted) <= set(ids)
    assert page.get_attribute("html", "lang") == "en"
