"""Connections in Chromium: pickers by keyboard, and streamed checks."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from delivr.tests.every_page import stay_signed_in

pytestmark = pytest.mark.browser
MANY = [{"value": f"/job/app-{n}", "label": f"app-{n}"} for n in range(1000)]


def test_a_job_is_picked_by_keyboard_and_its_checks_are_followed(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations/pipelines/new?sandbox=1")
    page.get_by_label("Builds for").select_option(index=1)
    page.route("**/options?*", lambda route: route.fulfill(json={"options": MANY}))
    page.get_by_role("button", name="Load jobs").click()
    job = page.get_by_label("Job", exact=True)
    status = page.locator(".field", has=job).locator(".picker__status")
    expect(job).to_be_focused()
    expect(status).to_have_text("1000 found.")
    job.fill("app-99")
    expect(status).to_have_text("11 found.")
    active = page.locator("[role=option].is-active")
    for key, name in (
        ("ArrowDown", "app-99"),
        ("ArrowDown", "app-990"),
        ("End", "app-999"),
        ("ArrowDown", "app-99"),
        ("ArrowUp", "app-999"),
        ("Home", "app-99"),
    ):
        page.keyboard.press(key)
        expect(active).to_have_text(re.compile(rf"^{name}/job"))
        expect(job).to_have_attribute("aria-activedescendant", str(active.get_attribute("id")))
    page.keyboard.press("Enter")
    expect(job).to_have_value("/job/app-99")
    expect(job).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("listbox")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()

    # What the job declares becomes lines, each once.
    page.unroute("**/options?*")
    job.fill("/job/ios-typed")
    page.get_by_role("button", name="Load parameters").click()
    for name in ("TRACK", "CLEAN", "TRACK"):
        page.get_by_role("option", name=name).click()
    own = page.get_by_label("Additional parameters")
    expect(own).to_have_value("TRACK=internal\nCLEAN=true")
    own.fill("")
    job.fill("/job/app-99")

    page.get_by_role("button", name="Connect and verify").click()
    expect(page.get_by_text("is saved, but a check failed")).to_be_visible()
    job = page.get_by_label("Job", exact=True)
    expect(job).to_be_focused()
    expect(job).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_jenkins_job_path_error")).to_contain_text("Jenkins has no job app-99")

    # The webhook's secret is shown after the first success; its ways are tabs.
    job.fill("/job/ios-prod")
    page.get_by_role("button", name="Save and verify").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Let Jenkins report its builds")
    expect(page.get_by_role("link", name="Continue")).to_be_in_viewport()
    expect(page.get_by_role("heading", name="With a Jenkinsfile")).to_be_visible()
    page.get_by_role("tab", name="Jenkinsfile").press("ArrowRight")
    expect(page.get_by_role("tab", name="Notification plugin")).to_be_focused()
    expect(page.get_by_role("heading", name="With the Notification plugin")).to_be_visible()
    expect(page.get_by_role("heading", name="With a Jenkinsfile")).to_be_hidden()
    page.get_by_role("button", name="Give it to the sandbox").click()
    expect(page.locator("#given")).to_contain_text("sends the webhook of iOS · ios-prod now")
    expect(page.locator("#webhook-secret")).to_be_visible()  # the page that shows it once
    assert console == []


def test_who_goes_on_while_checks_run_is_not_led_back(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    """The checks end after the link was followed, and before the next page is there."""
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.add_init_script("addEventListener('form:answered', () => console.info('answered'))")
    page.goto(f"{product.url}/setup/targets?kind=APP_STORE&sandbox=1")
    held: dict[str, Route] = {}
    page.route("**/setup/targets", lambda route: held.update(checks=route))
    page.route("**/setup/pipelines", lambda route: held.update(next=route))
    with page.expect_request("**/setup/targets"):
        page.get_by_role("button", name="Connect and verify").click()
    with page.expect_request("**/setup/pipelines"):
        page.get_by_role("link", name="Continue to Pipelines").click(no_wait_after=True)
    back = f"{json.dumps({'location': '/setup/targets'})}\n"
    with page.expect_console_message(lambda message: message.text == "answered"):
        held["checks"].fulfill(content_type="application/x-ndjson", body=back)
    held["next"].continue_()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pipelines")
    expect(page).to_have_url(re.compile("/setup/pipelines$"))
    assert console == []


def test_a_second_job_takes_the_server_over(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations/pipelines/new")
    page.get_by_label("Builds for").select_option(index=1)
    token, taken = page.get_by_label("API token", exact=True), page.get_by_label("Credentials")
    expect(token).to_be_hidden()
    taken.select_option("")
    expect(token).to_be_visible()
    taken.select_option(index=0)
    page.get_by_role("button", name="Load jobs").click()
    job = page.get_by_label("Job", exact=True)
    expect(page.locator(".field", has=job).locator(".picker__status")).to_contain_text("found")
    job.fill("/job/mobile/job/ios-beta")
    page.get_by_role("button", name="Connect and verify").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Let Jenkins report its builds")
    assert console == []


def test_a_key_is_read_from_a_file_and_a_wrong_one_is_refused(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations/targets/new?kind=APP_STORE&sandbox=1")
    area, said = page.get_by_label("API key (.p8)"), page.locator("[data-file-said]")
    key = area.input_value().encode()
    area.fill("")
    files = page.get_by_label("Choose a .p8 file")
    for name, body, words in (
        ("key.json", b"{}", "needs a .p8 file"),
        ("key.p8", b"-----BEGIN CERTIFICATE-----", "needs a .p8 file"),
        ("key.p8", b"x" * 20_001, "too large. The limit is 20 KB"),
    ):
        files.set_input_files({"name": name, "mimeType": "text/plain", "buffer": body})
        expect(said).to_contain_text(words)
        expect(area).to_have_value("")
    files.set_input_files({"name": "key.p8", "mimeType": "text/plain", "buffer": key})
    expect(said).to_contain_text("was loaded into the field")
    assert area.input_value().encode() == key
    area.fill("")
    dropped = page.evaluate_handle(
        """(text) => {
          const data = new DataTransfer();
          data.items.add(new File([text], "key.p8"));
          return data;
        }""",
        key.decode(),
    )
    area.dispatch_event("drop", {"dataTransfer": dropped})
    expect(area).to_have_value(key.decode())
    assert console == []


def test_several_channels_are_picked_by_keyboard(page: Page, filled: dict[str, Any]) -> None:
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations/communication/new?sandbox=1")
    channels = page.get_by_label("Channels")
    channels.fill("")
    page.get_by_role("button", name="Load channels").click()
    search = page.get_by_role("combobox", name="Search the options")
    expect(search).to_be_focused()
    for _n in range(2):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    assert len(channels.input_value().split()) == 2
    expect(page.locator("[role=option][aria-selected=true]")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(page.locator("[role=option][aria-selected=true]")).to_have_count(1)


def test_a_refused_credential_is_reported_in_place_and_a_valid_one_on_the_next_page(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations")
    page.locator("main a[href*='/scm_']").first.click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Access token", exact=True).fill("ghp_wrong")
    save = page.get_by_role("button", name="Save and verify")
    save.click()
    expect(page.get_by_role("alert")).to_contain_text("The stored one is still in use")
    expect(page.locator("#streamed-form")).to_contain_text("GitHub refused the access token.")
    expect(page.locator("[data-checks-wait]:visible")).to_have_count(0)
    page.get_by_label("Access token", exact=True).fill("")
    save.click()
    expect(page.locator("#messages")).to_contain_text("is connected and working")
    expect(page).not_to_have_url(re.compile("verified="))
    assert console == []


def test_an_app_is_created_in_two_clicks_and_installed(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    """Through the vendor's own pages, which the policies of both sides have to allow."""
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations/scm/new")
    page.get_by_role("link", name="Create an app on GitHub").click()
    page.get_by_label("Repository").fill("dream11/app")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Create it for the organisation dream11").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Create GitHub App for dream11")
    page.get_by_role("button", name="Create GitHub App for dream11").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Install delivr dream11")
    page.get_by_label("dream11/app").check()
    page.get_by_role("button", name="Install").click()
    expect(page.locator("#messages")).to_contain_text("is connected and working")
    assert page.url.startswith(product.url)
    assert console == []
