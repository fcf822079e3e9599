"""Builds the docs' site: `python docs/site/build.py [--output DIR]`; needs the extra `docs`.

The pages are those of `docs/`, after the README and in the order of `docs/README.md`. Links to
other files of the repository lead to its web page. Two parts are made here: the reference of the
Python interface, from docstrings, and the reports of the gallery, by the commands on its page.
A warning, a dead link or a page that is not listed ends the build with status 1.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parent.parent.parent
DOCS: Final = ROOT / "docs"
PACKAGE: Final = ROOT / "ember_bench"
HERE: Final = DOCS / "site"
REPOSITORY: Final = "https://github.com/ember-bench/ember-bench"
CONTENTS: Final = DOCS / "README.md"
GALLERY: Final = DOCS / "gallery.md"
COMMAND: Final = "from ember_bench.cli import main; main()"
# Pages whose name on the site is another one.
NAMED: Final = {
    ROOT / "README.md": "index.md",
    CONTENTS: "contents.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "CHANGELOG.md": "changelog.md",
}
# Pages of the Python interface: their titles, and the modules whose public names they have.
API: Final = {
    "Studies": ["running.study", "running.study_spec", "running.trials"],
    "Datasets": ["datasets"],
    "Models": ["models"],
    "Operators": ["operators"],
    "Graphs": ["graph"],
    "Programs": ["programs"],
    "Statistics": ["stats"],
    "Errors": ["errors"],
}
_CODE: Final = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<=\]\()[^)\s]+(?=\))|(?<=src=\")[^\"]+|(?<=srcset=\")[^\"]+")
_PICTURE: Final = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*'
    r'<img src="(?P<light>[^"]+)" alt="(?P<alt>[^"]+)">\s*</picture>'
)
_REPORT: Final = re.compile(r"`results/([\w-]+)/report\.html`")


class SiteError(Exception):
    """The site cannot be built."""


def main() -> int:
    """Build the site; return the exit status."""
    parser = argparse.ArgumentParser(description="Builds the docs' site.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site")
    output = parser.parse_args().output.resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        try:
            write_pages(work / "docs")
            write_api(work / "docs" / "api")
            write_reports(work / "docs" / "gallery")
            (work / "mkdocs.yml").write_text(yaml.safe_dump(configuration(), sort_keys=False))
            build(work)
        except SiteError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(work / "site", output)
    print(output)
    return 0


def build(folder: Path) -> None:
    """Build the site of a folder.

    Raises:
        SiteError: if there is a warning; those of docstrings do not end Zensical's strict mode.
    """
    errors = run([sys.executable, "-m", "zensical", "build", "--strict", "--clean"], folder)
    if "griffe: " in errors:
        raise SiteError("docstrings do not fit what they describe, or cannot be read")


def configuration() -> dict[str, Any]:
    """Return the site's configuration, with its pages in order."""
    found: dict[str, Any] = yaml.safe_load((HERE / "mkdocs.yml").read_text())
    found["plugins"][1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT)]
    api = [{title: f"api/{title.lower()}.md"} for title in API]
    found["nav"] = [
        {"Home": "index.md"},
        {"All pages": "contents.md"},
        *sections(CONTENTS.read_text()),
        {"Python interface": api},
        {"Project": [{"Repository": REPOSITORY}, "contributing.md", "changelog.md"]},
    ]
    return found


def sections(contents: str) -> Iterator[dict[str, list[str]]]:
    """Yield the headings of the list of pages, each with the pages that it is the first to link to.

    Links to a part of a page do not count.

    Raises:
        SiteError: if a page is in none of them.
    """
    left = {page.name for page in DOCS.glob("*.md")} - {CONTENTS.name}
    for part in re.split(r"^## ", contents, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        pages = [name for name in dict.fromkeys(_LINK.findall(text)) if name in left]
        left -= {*pages}
        if pages:
            yield {title: pages}
    if left:
        raise SiteError(f"docs/README.md does not list {', '.join(sorted(left))}")


def write_pages(folder: Path) -> None:
    """Write the pages, and the files that they link to."""
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("site", "*.md", "__pycache__"))
    shutil.copy(HERE / "site.css", folder)
    for page in [*DOCS.glob("*.md"), *NAMED]:
        text = _REPORT.sub(r"[\1](gallery/\1.html)", page.read_text())
        text = _PICTURE.sub(r"![\g<alt>](\g<light>#only-light)![\g<alt>](\g<dark>#only-dark)", text)
        (folder / name_of(page)).write_text(on_site(text, page))


def name_of(page: Path) -> str:
    """Return the name of a page on the site."""
    return NAMED.get(page, page.name)


def on_site(text: str, page: Path) -> str:
    """Return a page with its links as they are on the site; code stays as it is."""
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [_LINK.sub(lambda m: target(m[0], page), text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(lambda m: target(m[0], page), text[end:])])


def target(link: str, page: Path) -> str:
    """Return where a link of a page leads on the site.

    Raises:
        SiteError: if there is no such file.
    """
    path, mark, anchor = link.partition("#")
    if not path or re.match(r"\w+:", link) or path.startswith("gallery/"):
        return link
    file = (page.parent / path).resolve()
    if file in NAMED or (file.parent == DOCS and file.suffix == ".md" and file.exists()):
        return f"{name_of(file)}{mark}{anchor}"
    if not file.exists() or not file.is_relative_to(ROOT):
        raise SiteError(f"{page.relative_to(ROOT)}: {link} leads nowhere")
    if file.is_relative_to(DOCS):
        return f"{file.relative_to(DOCS).as_posix()}{mark}{anchor}"
    kind = "tree" if file.is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{file.relative_to(ROOT).as_posix()}{mark}{anchor}"


def write_api(folder: Path) -> None:
    """Write a page for each part of the Python interface: its public names."""
    folder.mkdir()
    top = exported(PACKAGE / "__init__.pyi")
    for title, modules in API.items():
        lines = [f"# {title}", ""]
        for module in modules:
            names = top.get(module, []) if module != "stats" else []
            for name in names or public(module):
                lines += [f"::: ember_bench.{module}.{name}", ""]
        (folder / f"{title.lower()}.md").write_text("\n".join(lines))
    if missing := set(top) - {m for found in API.values() for m in found}:
        raise SiteError(f"no page of the Python interface has {', '.join(sorted(missing))}")


def exported(file: Path) -> dict[str, list[str]]:
    """Return the names that a stub exports, by the module below it that they are of."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.setdefault(node.module, []).extend(alias.name for alias in node.names)
    return found


def public(module: str) -> list[str]:
    """Return the public names of a room by its stub, or of a module by its code."""
    stub = PACKAGE / module / "__init__.pyi"
    if stub.exists():
        return [name for names in exported(stub).values() for name in names]
    defined = ast.parse((PACKAGE / f"{module}.py").read_text()).body
    kinds = ast.ClassDef, ast.FunctionDef
    return [n.name for n in defined if isinstance(n, kinds) and not n.name.startswith("_")]


def write_reports(folder: Path) -> None:
    """Write the reports of the gallery, by the commands on its page."""
    folder.mkdir()
    page = GALLERY.read_text()
    with tempfile.TemporaryDirectory() as work:
        for block in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                program, *arguments = shlex.split(line)
                if program != "ember-bench":
                    raise SiteError(f"docs/gallery.md: {line} is no command of ember-bench")
                run([sys.executable, "-c", COMMAND, *arguments], Path(work))
        for name in _REPORT.findall(page):
            shutil.copy(Path(work) / "results" / name / "report.html", folder / f"{name}.html")


def run(command: list[str], folder: Path) -> str:
    """Run a command, and return what it wrote as errors, which are also shown.

    Raises:
        SiteError: if its status is not 0.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise SiteError(f"{shlex.join(command[1:])} ended with status {done.returncode}")
    return done.stderr


if __name__ == "__main__":
    sys.exit(main())
