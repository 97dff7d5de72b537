"""The pages of a run in a browser: without errors or network, on wide, narrow and dark screens, by keyboard alone."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as ec
from selenium.webdriver.support.ui import WebDriverWait

from debian import why_missing
from made_reports import made_report

WIDTHS = {"desktop": 1280, "phone": 390}
MEASURE = """
return {
    width: document.documentElement.scrollWidth,
    broken: [...document.images].filter(image => !image.naturalWidth).map(image => image.alt),
    silent: [...document.images].filter(image => !image.alt).length,
    fetched: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !/^data:/.test(name)),
}
"""
UNREADABLE = """
const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
const light = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
  .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] > 0) return color;
  }
};
const found = [];
for (const node of document.querySelectorAll("body *")) {
  if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
  if (node.closest("svg, script, style") || !node.getClientRects().length) continue;
  const both = [parse(getComputedStyle(node).color), behind(node)].map(light).sort((a, b) => b - a);
  const contrast = (both[0] + 0.05) / (both[1] + 0.05);
  if (contrast < 4.5) found.push([node.tagName, node.textContent.slice(0, 40), contrast]);
}
return found.slice(0, 10);
"""
"""The texts with less contrast to what lies behind them than WCAG 2 asks for."""


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    if reason := why_missing(("chromium", "chromedriver"), ("chromium", "chromium-driver", "fonts-dejavu-core")):
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
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


@pytest.fixture(scope="module")
def made_up(tables, tmp_path_factory):
    """Return the address of a report of made-up tables."""
    path = tmp_path_factory.mktemp("made_up") / "report.html"
    path.write_text(made_report(tables), encoding="utf-8")
    return path.as_uri()


def show(browser, address: str, width: int = 1280, scheme: str = "light") -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 800}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    # without motion, so that what was scrolled to stands still
    features = [{"name": f"prefers-{key}", "value": value}
                for key, value in (("color-scheme", scheme), ("reduced-motion", "reduce"))]  # fmt: skip
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(address)


def check_it_loads_and_fits(browser, address: str, width: int, scheme: str) -> None:
    show(browser, address, width, scheme)
    assert browser.title
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    found = browser.execute_script(MEASURE)
    assert found["width"] <= width, json.dumps(found)
    assert (found["broken"], found["silent"], found["fetched"]) == ([], 0, [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("page", ["report", "tokens"])
def test_a_page_loads_without_errors_and_fits(page, width, scheme, finished, browser):
    check_it_loads_and_fits(browser, pages(finished)[page], width, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_report_of_made_up_tables_loads_without_errors_and_fits(width, scheme, made_up, browser):
    check_it_loads_and_fits(browser, made_up, width, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_a_light_and_a_dark_screen(scheme, made_up, finished, browser):
    tokens = pages(finished)["tokens"]
    # of the tokens, once all and once only those that are left by the first layer
    for address in (made_up, tokens, f"{tokens}#after1"):
        show(browser, address, scheme=scheme)
        if address.endswith("#after1"):
            browser.find_element(By.CSS_SELECTOR, "label[for=after1]").click()
        assert browser.execute_script(UNREADABLE) == []


def table_of(browser, name: str):
    return browser.find_element(By.CSS_SELECTOR, f'table[data-name="{name}"]')


def column(table, number: int) -> list[str]:
    return [row.find_elements(By.XPATH, "./*")[number].text for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]


def test_a_table_is_sorted_by_keyboard(made_up, browser):
    show(browser, made_up)
    table = table_of(browser, "masked_lm")
    header = table.find_elements(By.CSS_SELECTOR, "thead th")[2]
    button = header.find_element(By.TAG_NAME, "button")
    assert header.get_attribute("aria-sort") == "none"
    button.send_keys(Keys.ENTER)
    rising = column(table, 2)
    assert header.get_attribute("aria-sort") == "ascending" and rising == sorted(rising, key=float)
    button.send_keys(Keys.SPACE)
    assert header.get_attribute("aria-sort") == "descending" and column(table, 2) == sorted(
        rising, key=float, reverse=True
    )


def test_missing_values_are_last_in_both_directions(made_up, browser):
    show(browser, made_up)
    table = table_of(browser, "predictors_at_sparsity")
    button = table.find_elements(By.CSS_SELECTOR, "thead tr:last-child th")[1].find_element(By.TAG_NAME, "button")
    for _ in range(2):
        button.send_keys(Keys.ENTER)
        found = column(table, 1)
        assert "–" in found and "–" not in found[: -found.count("–")]


def test_rows_are_filtered_and_downloaded_by_keyboard(made_up, browser, downloads):
    show(browser, made_up)
    table = table_of(browser, "predictors_at_sparsity")
    tools = browser.find_element(By.XPATH, "//table[@data-name='predictors_at_sparsity']/../preceding-sibling::div[1]")
    tools.find_element(By.TAG_NAME, "input").send_keys("COSINE")
    assert tools.find_element(By.CSS_SELECTOR, "[role=status]").text == "1 of 5 rows"
    assert [name for name in column(table, 0) if name] == ["Cosine distance"]
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    header, row = (line.split("\t") for line in downloaded(downloads / "predictors_at_sparsity.tsv").splitlines())
    at = "recall at sparsity"
    assert header[:5] == ["predictor", f"{at} 80 %", f"{at} 80 % ±", f"{at} 90 %", f"{at} 90 % ±"]
    assert row[:3] == ["Cosine distance", "", ""]
    assert float(row[3]) == pytest.approx(0.63, abs=0.01) and 0 < float(row[4]) < 0.02


def downloaded(path: Path) -> str:
    for _ in range(100):
        if path.exists():
            return path.read_text(encoding="utf-8")
        time.sleep(0.1)
    raise AssertionError(f"{path.name} was not downloaded")


def test_without_scripts_everything_can_be_read(made_up, browser):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, made_up)
        assert "Cosine distance" in table_of(browser, "predictors_at_sparsity").text
        assert not browser.find_elements(By.CSS_SELECTOR, "table button, .tools")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def explore(browser, figure: str):
    """Press the button that shows a figure's points, once the page's script has made it, and return it."""
    button = ec.presence_of_element_located((By.CSS_SELECTOR, f"#{figure} .explore"))
    found = WebDriverWait(browser, 30).until(button)
    found.send_keys(Keys.ENTER)
    return found


def test_a_point_of_a_trade_off_says_its_settings(made_up, browser):
    show(browser, made_up)
    button = explore(browser, "pareto_recall")
    WebDriverWait(browser, 30).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "#pareto_recall .legend"))
    place = browser.find_element(By.CSS_SELECTOR, "#pareto_recall .plate .explored")
    place.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    state = (By.CSS_SELECTOR, "#pareto_recall [role=status]")
    settings = "K-means clusters: clusters 8, runs 1, top 2; linear, dim 4, shared: sparsity 84.9 %"
    WebDriverWait(browser, 30).until(ec.text_to_be_present_in_element(state, settings))
    # plotly shows the last of several keys after a moment
    found = ec.text_to_be_present_in_element(
        (By.CSS_SELECTOR, "#pareto_recall .hovertext"), "clusters 8, runs 1, top 2"
    )
    WebDriverWait(browser, 30, ignored_exceptions=[StaleElementReferenceException]).until(found)
    image = browser.find_element(By.CSS_SELECTOR, "#pareto_recall img")
    assert not image.is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert image.is_displayed() and not place.is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    button.send_keys(Keys.ENTER)
    assert image.is_displayed() and not place.is_displayed()
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ("sparse_mlm_perplexity", ("sparsity", "perplexity", "loss", "loss increase")),
        ("sparse_mlm_increase", ("mass recall", "loss increase", "sparsity", "loss", "perplexity")),
    ],
)
def test_a_point_of_the_language_model_says_its_loss(figure, said, made_up, browser):
    show(browser, made_up)
    explore(browser, figure)
    found = (By.CSS_SELECTOR, f"#{figure} .points path.point")
    WebDriverWait(browser, 30).until(lambda driver: driver.find_elements(*found))
    browser.find_element(By.CSS_SELECTOR, f"#{figure} .plate .explored").send_keys(Keys.ARROW_RIGHT)
    state = (By.CSS_SELECTOR, f"#{figure} [role=status]")
    WebDriverWait(browser, 30).until(ec.text_to_be_present_in_element(state, f"{said[0]} "))
    text = browser.find_element(*state).text
    assert text.startswith("Oracle top-k: keys ") and [word for word in said if f"{word} " not in text] == []
    assert "full attention" in browser.find_element(By.CSS_SELECTOR, f"#{figure} .legend").text
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_points_fit_a_narrow_screen_and_are_shown_by_the_pointer(made_up, browser):
    show(browser, made_up, WIDTHS["phone"])
    explore(browser, "pareto_mass_recall")
    found = (By.CSS_SELECTOR, "#pareto_mass_recall .points path.point")
    WebDriverWait(browser, 30).until(lambda driver: driver.find_elements(*found))
    assert browser.execute_script(MEASURE)["width"] <= WIDTHS["phone"]
    show(browser, made_up)
    explore(browser, "pareto_mass_recall")
    WebDriverWait(browser, 30).until(lambda driver: driver.find_elements(*found))
    offsets = itertools.cycle((0, 1))

    def pointed(driver):
        # a slow plot misses a pointer that came before it was drawn, so the pointer moves until it is seen
        if shown := driver.find_elements(By.CSS_SELECTOR, "#pareto_mass_recall .hovertext"):
            return shown[0].text
        ActionChains(driver).move_to_element_with_offset(driver.find_element(*found), next(offsets), 0).perform()
        return ""

    text = WebDriverWait(browser, 60, ignored_exceptions=[StaleElementReferenceException]).until(pointed)
    assert "Cosine distance" in text and "mass recall" in text
