"""What is shown where: lists, labels, days by the person's time zone, subtasks, one's own order, the trash."""

import datetime
import zoneinfo

from playwright.sync_api import expect
from servers import wait_until

# Their days are never the same: one is 25 hours ahead of the other.
FIRST, LAST = "Pacific/Kiritimati", "Pacific/Pago_Pago"


def today_in(zone):
    return datetime.datetime.now(zoneinfo.ZoneInfo(zone)).date()


def expect_order(window, group, wanted):
    shown = window.page.locator(f"#group-{group} > li:visible > .view .text")
    expect(shown).to_have_text(wanted)


def test_days_are_grouped_and_counted_as_the_server_has_them(
    own_stack, make_browser_of, make_person
):
    stack = own_stack("secret")
    olga = make_person(stack, "Olga")
    assert olga.call("PATCH", "/preferences", {"time_zone": LAST})[0] == 200
    day = today_in(LAST)
    for text, due_on in {
        "Yesterday's": day - datetime.timedelta(days=1),
        "Today's": day,
        "Next week's": day + datetime.timedelta(days=7),
    }.items():
        olga.call("POST", "/tasks", {"text": text, "due_on": due_on.isoformat()})
    window = make_browser_of(stack.page_url)()
    window.sign_in("Olga")
    window.expect_live()

    def expect_as_the_server_has_them(overdue, today, upcoming):
        for group, names in {"overdue": overdue, "today": today, "upcoming": upcoming}.items():
            assert [t["text"] for t in olga.call("GET", f"/tasks?due={group}")[1]] == names
            expect_order(window, group, names)
            link = window.page.get_by_role("navigation").locator(f"[data-count={group}] .number")
            expect(link).to_have_text(str(len(names) or ""))

    expect_as_the_server_has_them(["Yesterday's"], ["Today's"], ["Next week's"])

    # Another window, or another device, moves to where that day is over already.
    assert olga.call("PATCH", "/preferences", {"time_zone": FIRST})[0] == 200
    expect_as_the_server_has_them(["Today's", "Yesterday's"], [], ["Next week's"])

    window.look_at("Overdue")
    window.expect_task("Today's")
    expect(window.task("Next week's")).to_be_hidden()
    window.look_at("Today")
    window.add("Added where it is today")
    window.expect_task("Added where it is today")
    window.expect_live()
    (added,) = olga.call("GET", "/tasks?due=today")[1]
    assert added["due_on"] == today_in(FIRST).isoformat()


def test_lists_labels_and_priorities_are_in_both_windows(own_stack, make_two_windows):
    stack = own_stack("secret")
    first, second = make_two_windows(stack, "Petra")
    page = first.in_front()

    for kind, name in {"list": "Garden", "label": "errand"}.items():
        page.get_by_role("button", name=f"New {kind}").click()
        page.get_by_role("dialog").get_by_label("Name").fill(name)
        page.get_by_role("dialog").get_by_label("Color").select_option("Green")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    first.look_at("Garden")
    page.get_by_text("More", exact=True).click()
    page.locator("#add").get_by_label("Priority").select_option("Urgent")
    page.locator("#add").get_by_label("errand").check()
    first.add("Buy seeds", day="2099-03-01")
    first.expect_task("Buy seeds")

    page = second.in_front()
    second.look_at("errand")
    second.expect_task("Buy seeds")
    expect(second.task("Buy seeds").locator(".facts")).to_contain_text("Urgent")
    expect(second.task("Buy seeds").locator(".facts")).to_contain_text("Garden")
    expect(page.get_by_role("navigation").get_by_role("link", name="Garden 1")).to_be_visible()
    page.locator("#priority-filter").select_option("Low")
    expect(second.task("Buy seeds")).to_be_hidden()
    page.locator("#priority-filter").select_option("Urgent")
    second.expect_task("Buy seeds")

    first.in_front().get_by_role("button", name="Edit list").click()
    first.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    first.page.locator("#confirm-action").click()
    first.expect_task("Buy seeds")  # in no list, and so among all of them
    expect(second.task("Buy seeds").locator(".facts")).not_to_contain_text("Garden")
    expect(second.page.get_by_role("navigation").get_by_text("Garden")).to_have_count(0)


def test_subtasks_are_under_their_parent_and_go_with_it(own_stack, make_two_windows):
    stack = own_stack("secret")
    first, second = make_two_windows(stack, "Quinn")
    first.add("Bake a cake")
    first.choose("New subtask", "Bake a cake")
    keyboard = first.page.keyboard
    for text in ("Buy eggs", "Find the tin"):
        keyboard.type(text)
        keyboard.press("Enter")
        expect(first.page.get_by_role("checkbox", name=text)).to_be_visible()
        expect(first.page.get_by_label("New subtask")).to_have_value("")
    keyboard.press("Escape")
    expect(first.page.get_by_role("button", name="More: Bake a cake")).to_be_focused()

    under = second.page.get_by_role("list", name="Subtasks of: Bake a cake").get_by_role("checkbox")
    expect(under).to_have_count(2)

    first.delete("Bake a cake")
    expect(second.page.get_by_role("checkbox")).to_have_count(0)
    first.page.get_by_role("button", name="Undo").click()
    expect(under).to_have_count(2)
    expect(first.page.get_by_role("checkbox")).to_have_count(3)


def test_a_task_that_is_done_by_mistake_is_opened_again(own_stack, make_browser_of, make_person):
    stack = own_stack("secret")
    rita = make_person(stack, "Rita")
    parent = rita.call("POST", "/tasks", {"text": "Bake a cake"})[1]
    for text, completed in {"Buy eggs": True, "Find the tin": False}.items():
        rita.call(
            "POST", "/tasks", {"text": text, "completed": completed, "parent_id": parent["id"]}
        )
    window = make_browser_of(stack.page_url)()
    window.sign_in("Rita")
    window.expect_live()

    def completed():
        window.expect_live()
        return {task["text"] for task in rita.call("GET", "/tasks?completed=true")[1]}

    window.page.get_by_role("checkbox", name="Bake a cake").click()
    expect(window.page.get_by_text("Done (1)")).to_be_visible()
    assert completed() == {"Bake a cake", "Buy eggs", "Find the tin"}
    window.page.get_by_role("button", name="Undo").click()
    expect(window.page.get_by_role("checkbox", name="Find the tin")).to_be_visible()
    assert completed() == {"Buy eggs"}


def test_an_order_of_ones_own_by_keyboard_menu_and_pointer(own_stack, make_two_windows):
    stack = own_stack("secret")
    first, second = make_two_windows(stack, "Rosa")
    for text in ("Three", "Two", "One"):
        first.add(text)
        first.expect_task(text)
    expect_order(second, "none", ["One", "Two", "Three"])

    box = first.page.get_by_role("checkbox", name="Three")
    box.focus()
    first.page.keyboard.press("Alt+ArrowUp")
    expect_order(second, "none", ["One", "Three", "Two"])
    expect(box).to_be_focused()
    first.page.keyboard.press("Alt+ArrowUp")
    expect_order(second, "none", ["Three", "One", "Two"])
    expect(box).to_be_focused()

    first.choose("Move down", "Three")
    expect_order(second, "none", ["One", "Three", "Two"])

    handle, target = (first.task(text).locator(".handle").bounding_box() for text in ("Two", "One"))
    mouse = first.page.mouse
    mouse.move(handle["x"] + 10, handle["y"] + 20)
    mouse.down()
    mouse.move(target["x"] + 10, target["y"] + 5, steps=4)
    mouse.up()
    expect_order(second, "none", ["Two", "One", "Three"])
    expect_order(first, "none", ["Two", "One", "Three"])


def test_what_was_deleted_is_brought_back_or_dropped_for_good(
    own_stack, make_browser_of, make_person
):
    stack = own_stack("secret")
    sam = make_person(stack, "Sam")
    open_window = make_browser_of(stack.page_url)
    first = open_window()
    first.sign_in("Sam")
    first.expect_live()
    for text in ("Keep me", "Drop me", "Drop me too"):
        first.add(text)
        first.expect_task(text)
    second = open_window()
    second.expect_live()

    first.delete("Keep me")
    second.expect_no_task("Keep me")
    first.page.keyboard.press("Control+z")
    second.expect_task("Keep me")
    first.expect_task("Keep me")

    for text in ("Keep me", "Drop me", "Drop me too"):
        first.delete(text)
        first.expect_no_task(text)
    first.look_at("Trash")
    page = first.page
    page.get_by_role("button", name="Restore: Keep me").click()
    expect(page.locator("#trash-list li")).to_have_count(2)
    second.expect_task("Keep me")
    page.get_by_role("button", name="Delete for good: Drop me", exact=True).click()
    page.locator("#confirm-action").click()
    expect(page.locator("#trash-list li")).to_have_count(1)
    page.get_by_role("button", name="Empty the trash").click()
    page.locator("#confirm-action").click()
    expect(page.get_by_text("The trash is empty.")).to_be_visible()
    assert sam.call("GET", "/trash")[1] == []
    assert [task["text"] for task in sam.call("GET", "/tasks")[1]] == ["Keep me"]


def test_what_repeats_comes_again_and_settings_are_kept(own_stack, make_browser_of, make_person):
    stack = own_stack("secret")
    tess = make_person(stack, "Tess")
    window = make_browser_of(stack.page_url)()
    window.sign_in("Tess")
    window.expect_live()
    page = window.page

    window.add("Water the plants", day="2099-07-01")
    window.expect_task("Water the plants")
    # Nobody chose it: it is the browser's.
    wait_until(lambda: tess.call("GET", "/preferences")[1]["time_zone"] == "Europe/Berlin", 10)
    page.get_by_role("button", name="Edit: Water the plants").click()
    editor = page.locator("form.editor")
    editor.get_by_label("Repeat").select_option("Every week")
    editor.get_by_role("button", name="Save").click()
    expect(window.task("Water the plants").locator(".facts")).to_contain_text("Every week")
    page.get_by_role("checkbox", name="Water the plants").click()
    expect(page.get_by_text("Done (1)")).to_be_visible()
    expect(window.task("Water the plants").locator("time:visible")).to_have_attribute(
        "datetime", "2099-07-08"
    )

    page.get_by_role("button", name="Settings").click()
    settings = page.get_by_role("dialog")
    settings.get_by_label("Time zone").select_option("Asia/Tokyo")
    settings.get_by_label("of tasks of a day").fill("07:15")
    settings.get_by_label("before a deadline").select_option("1 hour")
    settings.get_by_role("button", name="Save").click()
    expect(settings).to_be_hidden()
    window.expect_live()
    found = tess.call("GET", "/preferences")[1]
    assert (found["time_zone"], found["remind_at"], found["remind_before"]) == (
        "Asia/Tokyo", "07:15", 60,
    )  # fmt: skip
