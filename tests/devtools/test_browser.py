"""A walk through a log in the genuine interface, by a browser without a head."""

# ruff: noqa: E402 - what an extra brings is imported after asking for it

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("websockets", reason="the server needs the extra ui")
playwright = pytest.importorskip("playwright.async_api", reason="driving a browser needs playwright")

from debugger.screenshots import keep
from playwright.async_api import Page, async_playwright, expect

from mina_p2p_effects.debugger.looking import By, look
from mina_p2p_effects.devtools.assets import DevToolsUnavailableError, web_folder
from mina_p2p_effects.devtools.server import DevToolsServer
from mina_p2p_effects.devtools.viewer import Viewer
from mina_p2p_effects.logs import LogSession

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
expect.set_options(timeout=30_000)
SIZE = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def web() -> Path:
    """The interface's files; fetched once, into the user's cache."""
    try:
        return web_folder()
    except DevToolsUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _browser() -> None:
    if CHROMIUM is None:
        pytest.skip("there is no chromium")


class Sight:
    """A page with the interface, and what the server thinks of it."""

    def __init__(self, page: Page, viewer: Viewer, session: LogSession) -> None:
        self.page = page
        self.viewer = viewer
        self.session = session

    async def replay_stands_at(self, position: int) -> None:
        """Wait until the bar says so, and see that the replay does."""
        action_id = self.session.action(position).action_id if position >= 0 else 0
        await expect(self.page.locator("#at")).to_have_attribute("data-at", str(action_id))
        assert self.viewer.at == position
        assert self.viewer.state == self.session.state_at(position)

    async def shows(self, *words: str) -> None:
        """Wait until the interface shows some text."""
        for word in words:
            await expect(self.page.locator("#root")).to_contain_text(word)

    async def picture(self, name: str) -> None:
        """Keep a picture with a palette, a third as large."""
        data = await self.page.screenshot(animations="disabled")
        if os.environ.get("MINA_P2P_SCREENSHOTS"):
            image = pytest.importorskip("PIL.Image", reason="pictures are made smaller by pillow")
            out = io.BytesIO()
            image.open(io.BytesIO(data)).convert("RGB").quantize(128).save(out, "PNG", optimize=True)
            keep(name, out.getvalue())


def browse(session: LogSession, web: Path, story: Callable[[Sight], Awaitable[None]], count_max: int = 500) -> None:
    """Run a story in a browser; no script may fail meanwhile, and nothing may be asked of another place."""

    async def run() -> None:
        viewer = Viewer(session, "node.log", count_max=count_max)
        server = DevToolsServer(viewer, web)
        await server.start()
        try:
            async with async_playwright() as driver:
                browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                page = await browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
                faults: list[str] = []
                page.on("pageerror", lambda error: faults.append(str(error)))
                page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
                page.on(
                    "request", lambda request: faults.append(request.url) if not request.url.startswith((server.url, "data:")) else None
                )
                await page.goto(server.url)
                await expect(page.locator("#root")).to_contain_text("the state at the beginning", timeout=30_000)
                await story(Sight(page, viewer, session))
                assert faults == []
                await browser.close()
        finally:
            await server.close()

    asyncio.run(run())


def test_the_genuine_interface_walks_through_the_log(session: LogSession, web: Path) -> None:
    """Jump, slider and its buttons move the replay; the diff is the one of the states; a filter and the tabs work."""

    async def story(it: Sight) -> None:
        page = it.page
        insert = next(row for row in it.session.actions(0, 500) if row.kind == "PoolInsert")
        line = page.locator("#root").get_by_text("PoolInsert", exact=False).first
        await line.hover()
        await page.get_by_text("Jump", exact=True).locator("visible=true").click()
        await it.replay_stands_at(insert.position)
        await line.click()
        await it.shows("pools", "Diff")
        await it.picture("devtools-diff.png")
        await page.get_by_text("Action", exact=True).first.click()
        await it.shows("channel")
        slider = page.locator("#root input[type=range]")
        await slider.fill("250")
        await it.replay_stands_at(249)
        await page.get_by_label("Go forward").click()
        await it.replay_stands_at(250)
        await page.get_by_label("Go back").click()
        await it.replay_stands_at(249)
        await page.get_by_text("State", exact=True).first.click()
        await it.shows("clock", "peers")
        await it.picture("devtools-slider.png")

    browse(session, web, story)


def test_moving_the_window(session: LogSession, web: Path) -> None:
    """The bar goes from window to window, to an action, to a match and to a violation; the interface follows."""

    async def story(it: Sight) -> None:
        page = it.page
        await page.get_by_role("button", name="▶", exact=True).click()
        await it.replay_stands_at(200)
        await it.shows(f"the state after action {it.session.action(199).action_id}")
        await expect(page.locator("#window")).to_have_text(re.compile(r"^201 \S 400 of "))
        await page.keyboard.press("Alt+ArrowLeft")
        await it.replay_stands_at(199)
        await page.get_by_role("button", name="▶|").click()
        await it.replay_stands_at(it.session.count - 1)
        await page.locator("#goto").fill(str(it.session.action(333).action_id))
        await page.locator("#goto").press("Enter")
        await it.replay_stands_at(333)
        await page.get_by_role("button", name="|◀").click()
        await it.replay_stands_at(-1)
        found = look(it.session, By.VIOLATION, "", 0)
        assert found is not None
        await page.get_by_role("button", name="violation").click()
        await it.replay_stands_at(found.position)
        await expect(page.locator("#at")).to_contain_text("broke the protocol")
        await expect(page.locator("#root").get_by_text("DisconnectionInit").first).to_be_in_viewport()
        await it.picture("devtools-violation.png")

    browse(session, web, story, count_max=200)


def test_settings_of_the_interface_are_kept(session: LogSession, web: Path) -> None:
    """What a person set in the interface outlives a reload; only the connection is ours."""

    async def story(it: Sight) -> None:
        page = it.page
        await page.get_by_text("Log monitor").click()
        await it.shows("CheckTimeouts")
        await page.wait_for_function(
            """() => new Promise((found) => {
                const asked = indexedDB.open("localforage");
                asked.onsuccess = () => {
                    const read = asked.result.transaction("keyvaluepairs").objectStore("keyvaluepairs").get("persist:redux-devtools");
                    read.onsuccess = () => { asked.result.close(); found(String(read.result).includes("LogMonitor")); };
                };
            })"""
        )
        await page.reload()
        await it.shows("CheckTimeouts")
        kept = json.loads(
            await page.evaluate(
                """() => new Promise((found) => {
                    const asked = indexedDB.open("localforage");
                    asked.onsuccess = () => {
                        const read = asked.result.transaction("keyvaluepairs").objectStore("keyvaluepairs").get("persist:redux-devtools");
                        read.onsuccess = () => found(read.result);
                    };
                })"""
            )
        )
        assert json.loads(kept["monitor"])["selected"] == "LogMonitor"
        assert json.loads(kept["connection"])["options"]["hostname"] == "127.0.0.1"

    browse(session, web, story)
