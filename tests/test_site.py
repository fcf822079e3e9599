"""The docs' site has each page of the repository; links out of it lead to the repository."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "docs" / "site" / "build.py"


@pytest.fixture(scope="module")
def site() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("docs_site", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("docs_site", None)


@pytest.mark.parametrize(
    ("link", "page", "found"),
    [
        ("docs/report.md#x", "README.md", "report.md#x"),
        ("../README.md", "docs/papers.md", "index.md"),
        ("README.md", "docs/tutorial.md", "contents.md"),
        ("clusters/slurm.sh", "docs/clusters.md", "clusters/slurm.sh"),
        ("#part", "docs/report.md", "#part"),
        ("https://mlflow.org", "README.md", "https://mlflow.org"),
        ("LICENSE", "README.md", "https://github.com/ember-bench/ember-bench/blob/main/LICENSE"),
        (
            "../experiments/papers",
            "docs/papers.md",
            "https://github.com/ember-bench/ember-bench/tree/main/experiments/papers",
        ),
    ],
)
def test_links_lead_to_the_same_thing_as_in_the_repository(
    site: ModuleType, link: str, page: str, found: str
) -> None:
    assert site.target(link, ROOT / page) == found


@pytest.mark.parametrize("link", ["nowhere.md", "docs/nowhere.md#part", "../outside"])
def test_a_link_that_leads_nowhere_is_an_error(site: ModuleType, link: str) -> None:
    with pytest.raises(site.SiteError, match=r"README\.md: .* leads nowhere"):
        site.target(link, ROOT / "README.md")


def test_links_in_code_are_code(site: ModuleType) -> None:
    text = "[a](LICENSE) `[b](LICENSE)`\n```text\n[c](LICENSE)\n```\n"
    on_site = site.on_site(text, ROOT / "README.md")
    assert on_site.count("](LICENSE)") == 2
    assert on_site.startswith("[a](https://")


def test_the_menu_has_each_page_once(site: ModuleType) -> None:
    menu = [page for section in site.configuration()["nav"] for page in section.values()]
    pages = [page for found in menu if isinstance(found, list) for page in found]
    named = [page for page in pages if isinstance(page, str) and page.endswith(".md")]
    expected = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert expected <= {*named}
    assert len(named) == len({*named})


def test_a_page_that_is_not_listed_is_an_error(site: ModuleType) -> None:
    with pytest.raises(site.SiteError, match=r"does not list .*gallery\.md"):
        list(site.sections("## Tutorial\n\n[Tutorial](tutorial.md)\n"))


def test_the_python_interface_has_each_public_name(site: ModuleType, tmp_path: Path) -> None:
    import ember_bench
    import ember_bench.stats

    site.write_api(tmp_path / "api")
    pages = "".join(page.read_text() for page in (tmp_path / "api").glob("*.md"))
    documented = {line.rsplit(".", 1)[1] for line in pages.splitlines() if line.startswith(":::")}
    public = {*ember_bench.__all__, *ember_bench.stats.__all__} - {"__version__"}
    assert public <= documented


def test_the_gallery_has_the_reports_of_its_commands(site: ModuleType) -> None:
    page = site.GALLERY.read_text()
    reports = site._REPORT.findall(page)
    assert reports
    assert all(f"ember-bench report {name}\n" in page for name in reports)
