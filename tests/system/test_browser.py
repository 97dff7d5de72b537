"""The pages of a run in a browser: they load without errors or network, and fit wide and narrow screens."""

from __future__ import annotations

import json

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException

from debian import why_missing

WIDTHS = {"desktop": 1280, "phone": 390}
MEASURE = """
return {
    width: document.documentElement.scrollWidth,
    broken: [...document.images].filter(image => !image.naturalWidth).map(image => image.alt),
    silent: [...document.images].filter(image => !image.alt).length,
    fetched: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !/^data:/.test(name)),
}
"""


@pytest.fixture(scope="module")
def browser():
    if reason := why_missing(("chromium", "chromedriver"), ("chromium", "chromium-driver", "fonts-dejavu-core")):
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    except WebDriverException as error:
        pytest.skip(f"Chromium does not start here: {error.msg}")
    yield driver
    driver.quit()


def pages(finished) -> dict[str, str]:
    """Return the address of the report, and of a page that shows which tokens survive."""
    tokens = next((finished.folder / "results").glob("pruning/**/tokens.html"))
    return {"report": (finished.folder / "results/report.html").as_uri(), "tokens": tokens.as_uri()}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("page", ["report", "tokens"])
def test_a_page_loads_without_errors_and_fits(page, width, finished, browser):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 800}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(pages(finished)[page])
    assert browser.title
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    found = browser.execute_script(MEASURE)
    assert found["width"] <= width, json.dumps(found)
    assert (found["broken"], found["silent"], found["fetched"]) == ([], 0, [])
