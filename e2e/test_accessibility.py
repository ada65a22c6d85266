"""axe, which looks for what keeps people out, finds nothing: on desktops and phones, light and dark."""

import datetime

import pytest
from playwright.sync_api import expect
from servers import DEMO

AXE = DEMO / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
FIND = "axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, ...nodes.map((n) => n.html)]))"


def expect_nothing_found(page):
    page.evaluate(AXE.read_text())
    assert page.evaluate(FIND) == []
    # Nobody has to scroll sideways, either.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("mode", ["secret"])
def test_axe_finds_nothing(size, scheme, stack, make_browser_of, make_person):
    name = f"Wanda-{size}-{scheme}"
    wanda = make_person(stack, name)

    def create(path, **body):
        status, answer = wanda.call("POST", path, body)
        assert status == 201, answer
        return answer

    project = create("/projects", name="Home", color="#2f9e63")
    label = create("/labels", name="errand", color="#d9822b")
    today = datetime.datetime.now(datetime.UTC).date()
    late = (today - datetime.timedelta(days=3)).isoformat()
    parent = create("/tasks", text="Late", due_on=late, priority=4, recurrence="FREQ=DAILY")
    create("/tasks", text="Under it", parent_id=parent["id"])
    create("/tasks", text="In a list", project_id=project["id"], label_ids=[label["id"]])
    create("/tasks", text="Done", completed=True)
    create("/tasks", text="Deleted soon")

    window = make_browser_of(stack.page_url)()
    page = window.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    expect_nothing_found(page)
    window.sign_in(name)
    window.expect_live()
    window.expect_task("In a list")
    page.get_by_text("Done (1)").click()
    page.get_by_text("More", exact=True).click()
    window.choose("Delete", "Deleted soon")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect_nothing_found(page)

    page.get_by_role("button", name="More: Late").click()
    expect_nothing_found(page)
    page.locator("#menu").get_by_role("button", name="Edit").click()
    expect_nothing_found(page)
    page.keyboard.press("Escape")
    if size == "phone":
        page.locator("#side-toggle").click()
        expect_nothing_found(page)
        page.keyboard.press("Escape")
        expect(page.locator("#side-toggle")).to_be_focused()
    page.locator("#settings-open").click()
    expect_nothing_found(page)
    page.keyboard.press("Escape")
    page.goto(f"{stack.page_url}/#project={project['id']}")
    page.get_by_role("button", name="Edit list").click()
    expect_nothing_found(page)
    page.keyboard.press("Escape")
    page.goto(f"{stack.page_url}/#trash")
    expect(page.locator("#trash-list")).to_contain_text("Deleted soon")
    expect_nothing_found(page)
