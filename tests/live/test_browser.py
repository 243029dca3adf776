"""The browser is told where the page is by a file, since every user can read its command line."""

import shutil
import stat
import urllib.parse
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from pellucid.live import browser
from pellucid.live.browser import opened_in_browser

ADDRESS = "http://127.0.0.1:8420/?token=secret&x=<y>"


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(webbrowser, "open", told.append)
    return told


def file_of(url: str) -> Path:
    parts = urllib.parse.urlsplit(url)
    assert parts.scheme == "file"
    return Path(urllib.parse.unquote(parts.path))


def test_the_token_is_in_a_file_of_this_user_and_not_in_the_command(called: list[str]) -> None:
    with opened_in_browser(ADDRESS):
        (url,) = called
        assert "secret" not in url
        page = file_of(url)
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
        text = page.read_text(encoding="utf-8")
        assert "token=secret&amp;x=&lt;y&gt;" in text
        assert "<y>" not in text
    assert not page.parent.exists()


def test_the_file_is_deleted_after_a_while(called: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "_SECONDS", 0.05)
    with opened_in_browser(ADDRESS):
        page = file_of(called[0])
        for _ in range(200):
            if not page.exists():
                break
            browser.threading.Event().wait(0.05)
        assert not page.exists()


def test_nothing_is_left_where_it_ends_in_an_error(called: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), opened_in_browser(ADDRESS):
        raise KeyboardInterrupt
    assert not file_of(called[0]).parent.exists()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_real_browser_gets_from_the_file_to_the_page(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = started.new_page()
        monkeypatch.setattr(webbrowser, "open", page.goto)
        with opened_in_browser(f"http://{live.host}/?token={live.token}"):
            page.wait_for_url(f"http://{live.host}/")  # let in, and the token has left the address
        cookies = page.context.cookies()
        started.close()
    assert [cookie["value"] for cookie in cookies] == [live.token]  # type: ignore[typeddict-item]
