"""The report's tables and charts of systems in a browser: sorted, filtered, grouped, hidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.report.test_html_browser import press, run, wait, write
from tests.support.chromium import chromium
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of 20 sums on two models and votes of one."""
    workspace = Workspace(tmp_path_factory.mktemp("view"))
    workspace.sums(20)
    workspace.model("counted:a", right=0.6)
    workspace.model("counted:b", right=1.0, price=50.0)
    workspace.grid(
        architectures=[
            single(["counted:a", "counted:b"], label="{model}"),
            vote([3, 5], label="vote of {k}"),
        ]
    )
    workspace.run()
    return write(workspace).as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    browser.get("about:blank")
    browser.get(address)
    return browser


def systems(page: Any) -> list[str]:
    """Return the systems of the table, as it shows them, headings of groups with a colon."""
    return list(
        run(
            page,
            "return [...document.querySelectorAll('table.systems tbody tr:not(.away)')]"
            ".map(r => r.className === 'group' ? r.innerText.trim()"
            " : r.cells[1].innerText.replace('shared draws', '').trim())",
        )
    )


def points(page: Any) -> int:
    """Return how many points of the front are seen."""
    return int(
        run(
            page,
            "return document.querySelector('svg.chart')"
            ".querySelectorAll('.mark:not(.away)').length",
        )
    )


def enter(page: Any, name: str, value: str) -> None:
    run(
        page,
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


def sort(page: Any, column: int) -> None:
    run(page, "document.querySelectorAll('table.systems .sort')[arguments[0]].click()", column)


def link(page: Any) -> str:
    return str(run(page, "return location.href"))


GRID = ["counted:a", "counted:b", "vote of 3", "vote of 5"]


def test_a_heading_sorts_the_highest_first_then_the_lowest_then_as_in_the_grid(page: Any) -> None:
    assert systems(page) == GRID
    sort(page, 3)
    assert systems(page)[0] == "counted:b"  # the most expensive
    state = "return document.querySelector('table.systems [aria-sort]')?.ariaSort"
    assert run(page, state) == "descending"
    sort(page, 3)
    assert systems(page)[-1] == "counted:b"
    sort(page, 3)
    assert systems(page) == GRID
    assert run(page, state) is None


def test_systems_are_filtered_in_tables_and_charts(page: Any) -> None:
    enter(page, "wanted", "VOTE 3")
    assert systems(page) == ["vote of 3"]
    assert points(page) == 1
    said = run(page, "return document.getElementById('shown').textContent")
    assert said == "1 of 4 systems are shown"
    run(page, "document.getElementById('all').click()")
    assert (systems(page), points(page)) == (GRID, 4)


def test_a_hidden_system_leaves_the_charts_and_stays_in_the_table(page: Any) -> None:
    run(page, "document.querySelector('table.systems tr[data-cell=\"2\"] input').click()")
    assert points(page) == 3
    assert systems(page) == GRID
    assert run(page, "return document.querySelector('table.systems tr.hidden').dataset.cell") == "2"


def test_systems_are_grouped_by_a_parameter(page: Any) -> None:
    options = run(page, "return [...document.getElementById('group').options].map(o => o.value)")
    assert {"architecture", "model", "k"} <= set(options)
    assert "temperature" not in options  # the same for all
    enter(page, "group", "model")
    found = systems(page)
    assert [name for name in found if ": " in name] == ["model: counted:a", "model: counted:b"]
    assert found[-1] == "counted:b"


def test_the_choice_is_kept_in_the_link(page: Any) -> None:
    sort(page, 2)
    enter(page, "wanted", "counted:a")
    enter(page, "group", "architecture")
    run(page, "document.querySelector('table.systems tr[data-cell=\"3\"] input').click()")
    shown, address = (systems(page), points(page)), link(page)
    page.get("about:blank")
    page.get(address)
    assert (systems(page), points(page)) == shown
    assert run(page, "return document.getElementById('wanted').value") == "counted:a"


@pytest.mark.parametrize(
    "ending", ["hide=99.x.-1", "systems=99u", "systems=<b>", "group=nothing_like_it", "with=%00%ff"]
)
def test_a_broken_link_shows_the_page(page: Any, address: str, ending: str) -> None:
    page.get("about:blank")
    page.get(f"{address}#view?{ending}")
    assert len(systems(page)) in (0, 4)
    assert page.get_log("browser") == []


def test_the_arrow_keys_read_the_points_of_a_chart(page: Any) -> None:
    run(page, "document.querySelector('svg.chart').focus()")
    said = "return document.querySelector('.said').textContent"
    press(page, "\ue014")  # Right
    first = run(page, said)
    assert first.startswith("counted:a: accuracy ")
    assert "US$ per" in first
    press(page, "\ue010")  # End
    assert run(page, said).startswith("vote of 5: accuracy ")


def test_no_table_of_systems_and_no_chart_is_cut_off(page: Any) -> None:
    cut = run(
        page,
        "return [...document.querySelectorAll('.scroll, .draw')]"
        ".filter(box => box.scrollWidth > box.clientWidth).map(box => box.ariaLabel)",
    )
    assert cut == []


def test_one_screen_has_the_answer_and_the_front(page: Any) -> None:
    """System, certainty, price, what it is compared with, and the chart, at 1280 x 800."""
    size = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    below = run(
        page,
        "return [...document.querySelectorAll('.verdict, .tiles dt, .tiles dd, .pair svg.chart')]"
        ".filter(e => e.getBoundingClientRect().bottom > 800).length",
    )
    names = run(page, "return [...document.querySelectorAll('.tiles dt')].map(e => e.textContent)")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert below == 0
    assert {"Most accurate", "Its price", "Compared with"} <= set(names)


def test_a_narrow_screen_scrolls_no_page_sideways(page: Any) -> None:
    size = {"width": 420, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wider = run(page, "return document.documentElement.scrollWidth - innerWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wider <= 0


def test_says_nothing_in_the_console(page: Any) -> None:
    assert page.get_log("browser") == []


class TestTheMatrixOfItems:
    @pytest.fixture
    def matrix(self, page: Any) -> Any:
        run(page, "document.querySelector('canvas.matrix').scrollIntoView()")
        wait(lambda: run(page, "return document.querySelector('canvas.matrix.drawn') !== null"))
        run(page, "document.querySelector('canvas.matrix').focus()")
        return page

    def said(self, page: Any) -> str:
        return str(run(page, "return document.querySelector('figure.items .said').textContent"))

    def test_has_a_row_for_each_system_and_a_column_for_each_item(self, matrix: Any) -> None:
        size = "const c = document.querySelector('canvas.matrix'); return [c.width, c.height]"
        assert run(matrix, size) == [20, 4]
        titles = "return [...document.querySelectorAll('.matrix-of li')].map(e => e.title)"
        rows = run(matrix, titles)
        assert sorted(rows) == GRID
        assert rows[0] == "counted:b"  # which knows all

    def test_is_read_by_keys(self, matrix: Any) -> None:
        press(matrix, "\ue014")  # Right
        first = self.said(matrix)
        assert first.startswith("sums-")
        assert first.endswith("counted:b: 100 % (item 1 of 20, the hardest first)")
        press(matrix, "\ue010")  # End
        assert "(item 20 of 20" in self.said(matrix)
        press(matrix, "\ue015")  # Down
        assert "counted:b" not in self.said(matrix)

    def test_leads_to_the_trial(self, matrix: Any) -> None:
        press(matrix, "\ue014")
        item = self.said(matrix).partition(",")[0]
        press(matrix, "\ue007")  # Enter
        shown = wait(lambda: run(matrix, "return document.querySelector('#detail h3')?.innerText"))
        assert shown.startswith(f"{item}: correct")


def test_models_are_held_against_architectures(page: Any) -> None:
    """Of two models, one alone is in a vote too, so that a field is empty."""
    cells = run(
        page,
        "const t = [...document.querySelectorAll('table')]"
        ".find(t => t.caption.textContent.startsWith('Models and architectures'));"
        "return [...t.rows].map(r => [...r.cells].map(c => c.innerText.trim()))",
    )
    assert cells[0] == ["models", "single", "vote"]
    assert [row[0] for row in cells[1:]] == ["counted:a", "counted:b"]
    assert cells[1][2].endswith("of 2")
    assert cells[2][1:] == ["100.0", ""]
