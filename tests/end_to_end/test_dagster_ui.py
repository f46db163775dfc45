"""The Dagster web pages of a project in a real browser: what a data engineer sees and starts there."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium")
if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("chromium and chromedriver are not installed", allow_module_level=True)

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.end_to_end.conftest import Ran

LAYERS = ["raw", "staging", "standard", "core", "identity", "golden", "marts", "published"]
PATIENCE = 180


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1900,1300"):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))) as driver:
        yield driver


@pytest.fixture(scope="module")
def address(sample: Ran, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("ui") / "log"
    command = [sys.executable, "-m", "crm_quality", "ui", "--project", str(sample.project.folder), "--port", str(port)]
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True) as server,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            WebDriverWait(url, PATIENCE, ignored_exceptions=[OSError]).until(
                lambda it: urllib.request.urlopen(f"{it}/server_info")
            )
            yield url
        finally:
            # Server, daemon and code server at once; a parent that ignores SIGTERM hands that down to all of them.
            os.killpg(server.pid, signal.SIGKILL)


def shown(browser: Any, url: str, *texts: str) -> str:
    """Open a page and wait until it shows all the texts; returns what it shows."""
    browser.get(url)
    body = ""

    def all_there(driver: Any) -> bool:
        nonlocal body
        body = driver.execute_script("return document.body.innerText")
        return all(text in body for text in texts)

    WebDriverWait(browser, PATIENCE).until(all_there, f"{url} does not show all of {texts}")
    return body


def test_the_graph_reads_from_left_to_right_by_layer(browser, address):
    shown(browser, f"{address}/asset-groups", *LAYERS, "Materialize all")
    place = """
        const node = [...document.querySelectorAll('foreignObject div')].find(
            element => element.innerText.trim() === arguments[0]);
        return node && node.getBoundingClientRect().left"""
    left = WebDriverWait(browser, PATIENCE).until(
        lambda driver: (found := [driver.execute_script(place, layer) for layer in LAYERS]) and all(found) and found
    )
    assert left == sorted(left)


def test_an_asset_shows_its_description_rows_columns_with_meaning_and_schedule(browser, address):
    about = ("One row per real customer", "Row count", "data-stewards", "At 02:00 AM")
    columns = ("customer_id", "VARCHAR", "minted once, never reused")
    shown(browser, f"{address}/assets/golden/customer?view=overview", *about, *columns)


def test_a_column_shows_the_columns_it_is_made_from_and_a_table_its_neighbours(browser, address):
    shown(browser, f"{address}/assets/golden/customer_xref?view=overview", "From identity.customer_xref.customer_id")
    shown(browser, f"{address}/assets/golden/customer_xref?view=lineage", "identity", "customer_lineage", "published")


def test_a_failed_check_shows_its_count_and_failing_keys(browser, address):
    url = f"{address}/assets/core/party?view=checks&checkDetail=email_valid"
    page = shown(browser, url, "failed_rows", "failing_keys")
    assert "salesforce|" in page or "fxiaoke|" in page
    assert "@" not in page, "a failing key is no value"


def test_the_schedule_and_the_sensor_are_there(browser, address):
    shown(browser, f"{address}/automation", "every_night", "02:00 AM", "new_extract_day")


def test_materialise_all_runs_the_whole_graph_and_publishes(browser, address, sample):
    golden: Path = sample.project.golden
    before = golden.resolve()
    shown(browser, f"{address}/asset-groups", "Materialize all")
    browser.find_element(By.XPATH, "//button[contains(., 'Materialize all')]").click()
    WebDriverWait(browser, PATIENCE).until(lambda _: golden.resolve() != before, "nothing was published")
