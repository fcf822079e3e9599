"""What models, datasets and cards say is shown, not obeyed: by no browser, terminal, template."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from rich.text import Text

from ember_bench.cli._output import put, put_json, put_text
from ember_bench.drawing.accuracy_page import accuracy_page
from ember_bench.drawing.text import clean, clean_json, escape_markdown, one_line
from ember_bench.errors import SignatureError
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.diagrams import to_mermaid, to_svg
from ember_bench.models import ModelInfo, ModelRegistry
from ember_bench.operators import EnsembleOperator, Function, LMModule, LMModuleConfig
from ember_bench.operators.signature import Signature
from ember_bench.report import markdown, table
from ember_bench.running.messages import say
from ember_bench.running.progress import Alive
from ember_bench.tracking.fields import cell_tags, escaped_markdown, experiment_tags
from tests.cli.conftest import Command
from tests.support.workspace import Workspace, single
from tests.tracking.summaries import summary as any_summary

BROWSER = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</svg><img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<!--",
    "]]><!DOCTYPE x [<!ENTITY e 'boom'>]>",
    "&lt;script&gt;&#x3c;b&#x3e;",
    "</style><style>*{display:none}</style>",
    "javascript:alert(1)",
]
MARKDOWN = [
    "![x](http://evil/x.png)",
    "[click](javascript:alert(1))",
    "<http://evil.example>",
    "http://evil.example/path",
    "www.evil.example",
    "a | b | c",
    "x | y\n| --- | --- |",
    "# heading",
    "```\ncode\n```",
    "`code` *bold* _it_ ~~gone~~ **b**",
    "a\\",
    "\\| x",
    "[ref]: http://evil 'title'",
    "&nbsp;&copy;&#60;",
    "<details><summary>",
    "$\\href{http://evil}{x}$",
    "@everyone #1",
    "- item\n1. item\n> quote",
    "line<br>break",
]
TERMINAL = [
    "\x1b[2J\x1b[H",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]0;title\x07",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x9b31mred",
    "\x9d8;;http://evil\x9cclick",
    "\x1bP+q544e\x1b\\",
    "safe\rEVIL",
    "abc\b\b\bxyz",
    "\x00\x07\x0b\x0c\x7f",
    "gpt\u202egpj.exe",
    "\u2066a\u2069\u200f\u061c",
    "in\u200bvisible\ufeff\u2060",
    "tags\U000e0041\U000e007f",
    "line\u2028sep\u2029",
    "\x1b[?1049h\x1b[6n",
    "[red]markup[/red] [link=http://evil]x[/link]",
]
ALL = BROWSER + MARKDOWN + TERMINAL

OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]"
)


class TestATerminal:
    @pytest.mark.parametrize("text", ALL)
    def test_is_told_nothing_that_it_obeys(
        self, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        say(f"error: {text}")
        put(text)
        put_text(Text(text))
        put_text(Text.assemble((text, "bold"), "\n"))
        put_json({text: [text]})
        out, err = capsys.readouterr()
        assert not OBEYED.search(out + err)

    def test_keeps_the_styles_of_what_is_harmless(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
        put_text(Text("fine", style="bold"))
        assert "\x1b[1mfine\x1b[0m" in capsys.readouterr().out
        put_text(Text("not \x1b[2J fine", style="bold"))
        assert capsys.readouterr().out == "not \\x1b[2J fine\n"

    @pytest.mark.parametrize("text", TERMINAL)
    def test_is_told_nothing_beside_a_progress_bar(self, text: str) -> None:
        from rich.progress import Progress

        written = io.StringIO()
        alive = Alive(simulated=False)
        alive._bar = Progress(console=Console(file=written, markup=False, highlight=False))
        alive.note(text)
        assert not OBEYED.search(written.getvalue())

    @given(st.text())
    def test_shows_json_that_is_the_same_value(self, text: str) -> None:
        encoded = msgspec.json.encode({"k": text.encode("utf-8", "replace").decode()})
        shown = clean_json(encoded.decode())
        assert msgspec.json.decode(shown) == msgspec.json.decode(encoded)
        assert not OBEYED.search(shown)

    @given(st.text())
    def test_shows_harmless_text_as_it_is(self, text: str) -> None:
        shown = clean(text)
        assert not OBEYED.search(shown)
        if not OBEYED.search(text):
            assert shown == text

    @pytest.mark.parametrize("text", ALL)
    def test_shows_names_in_one_line(self, text: str) -> None:
        assert "\n" not in one_line(text)


class TestMarkdown:
    """As CommonMark with raw HTML allowed and GitHub's tables reads it."""

    @staticmethod
    def tokens(text: str) -> list[Any]:
        parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
        return [t for token in parser.parse(text) for t in (token, *(token.children or ()))]

    @pytest.mark.parametrize("text", ALL)
    def test_shows_a_cell_of_a_table_as_it_is(self, text: str) -> None:
        written = f"| a | b |\n| --- | --- |\n| {escape_markdown(text)} | z |\n"
        tokens = self.tokens(written)
        kinds = {t.type for t in tokens}
        assert kinds <= {
            "table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close",
            "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "inline", "text",
            "text_special",
        }, kinds  # fmt: skip
        cells = [t for t in tokens if t.type == "inline"]
        assert len(cells) == 4
        shown = "".join(t.content for t in cells[2].children)
        assert shown.strip() == one_line(text).strip()

    @pytest.mark.parametrize("text", ALL)
    def test_makes_neither_links_nor_mentions_of_addresses(self, text: str) -> None:
        """GitHub's extensions look at the source: a backslash keeps them off."""
        escaped = escape_markdown(text)
        assert not re.search(r"https?://|(?<!\\)@|www\.\w", escaped)

    @pytest.mark.parametrize("text", ALL)
    def test_of_mlflows_pages_shows_names_as_they_are(self, text: str) -> None:
        kinds = {t.type for t in self.tokens(f"**{escaped_markdown(text)}** on x")}
        assert not kinds & {"link_open", "image", "html_inline", "html_block", "code_inline"}


def hostile_summary(text: str) -> ExperimentSummary:
    """Return a summary in which every text that a user, a card or a dataset gives is `text`."""
    return _replaced(any_summary(), text)


def _replaced(value: Any, text: str) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = {
            name: _renamed(name, getattr(value, name), text) for name in value.__struct_fields__
        }
        return type(value)(**fields)
    if isinstance(value, list | tuple):
        return type(value)(_replaced(v, text) for v in value)
    return value


def _renamed(name: str, value: Any, text: str) -> Any:
    if name in ("name", "label", "dataset", "architecture", "baseline", "evaluator", "model"):
        return f"{value} {text}" if isinstance(value, str) else _replaced(value, text)
    return _replaced(value, text)


class TestPages:
    @pytest.mark.parametrize("text", ALL)
    def test_of_accuracy_and_cost_have_no_element_that_a_name_made(self, text: str) -> None:
        usual, hostile = Elements(), Elements()
        usual.feed(accuracy_page(hostile_summary("x")))
        hostile.feed(accuracy_page(hostile_summary(text)))
        assert hostile.found == usual.found
        assert not hostile.comments

    @pytest.mark.parametrize("text", ALL)
    def test_allow_no_scripts_and_load_nothing(self, text: str) -> None:
        page = accuracy_page(hostile_summary(text))
        assert "default-src 'none'; style-src 'unsafe-inline'" in page
        elements = Elements()
        elements.feed(page)
        assert not {"script", "img", "iframe", "object", "link"} & {
            tag for tag, _ in elements.found
        }

    @pytest.mark.parametrize("text", ALL)
    def test_in_markdown_have_the_same_rows_whatever_a_name_is(self, text: str) -> None:
        summaries = (hostile_summary("x"), hostile_summary(text))
        usual, hostile = ([t.type for t in TestMarkdown.tokens(markdown(s))] for s in summaries)
        blocks = [k for k in hostile if k.endswith(("_open", "_close")) or k.startswith("html")]
        assert blocks == [k for k in usual if k.endswith(("_open", "_close"))]

    @pytest.mark.parametrize("text", ALL)
    @pytest.mark.parametrize("columns", [None, 60, 200])
    def test_in_a_terminal_have_nothing_that_it_obeys(self, text: str, columns: int | None) -> None:
        assert not OBEYED.search(table(hostile_summary(text), columns).plain)

    @pytest.mark.parametrize("text", ALL)
    def test_of_mlflow_have_no_html_in_their_notes(self, text: str) -> None:
        summary = hostile_summary(text)
        tags = experiment_tags(summary, markdown(summary), None)
        notes = [tags["mlflow.note.content"]]
        notes += [cell_tags(c, summary, None)["mlflow.note.content"] for c in summary.cells]
        for note in notes:
            kinds = {t.type for t in TestMarkdown.tokens(note)}
            assert not kinds & {"link_open", "image", "html_inline", "html_block"}


class Elements(HTMLParser):
    """Collects tags with the names of their attributes, and comments."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def some_function(query: str) -> str:
    return query


def hostile_graph(text: str) -> NoNGraphData:
    """Return a graph whose nodes are called `text`, and the models in it."""
    registry = ModelRegistry()
    registry.register_model(ModelInfo(model_id=f"x:{text}"))
    asked = LMModule(LMModuleConfig(model_name=f"x:{text}"), model_registry=registry)
    name = text.replace("/", "_").replace("@", "_")  # which no node may be called
    inner, graph = NoNGraphData(), NoNGraphData()
    inner.add_node(name=f"inner {name}", operator=Function(some_function))
    graph.add_node(name=f"first {name}", operator=EnsembleOperator(lm_modules=[asked]))
    graph.add_node(name=name, operator=inner, inputs=[f"first {name}"])
    return graph


class TestDiagrams:
    @pytest.mark.parametrize("text", ALL)
    def test_in_svg_are_well_formed_with_no_element_that_a_name_made(self, text: str) -> None:
        usual, hostile = (
            [e.tag for e in ElementTree.fromstring(to_svg(hostile_graph(t))).iter()]
            for t in ("x", text)
        )
        assert set(hostile) == set(usual)
        assert hostile.count("{http://www.w3.org/2000/svg}rect") == usual.count(
            "{http://www.w3.org/2000/svg}rect"
        )

    @pytest.mark.parametrize("text", ALL)
    def test_in_mermaid_have_the_same_lines_whatever_a_name_is(self, text: str) -> None:
        def shape(name: str) -> str:
            return re.sub(r'\["[^"]*"\]', "[]", to_mermaid(hostile_graph(name)))

        assert shape(text) == shape("x")
        for label in re.findall(r'\["([^"]*)"\]', to_mermaid(hostile_graph(text))):
            assert not re.search(r"[<>`&{}\[\]%]", label.replace("<br/>", ""))
            assert not OBEYED.search(label)


class TestTemplates:
    @pytest.mark.parametrize(
        "template",
        [
            "{query.__class__}",
            "{query.__class__.__mro__[1].__subclasses__}",
            "{0}",
            "{}",
            "{query!r}",
            "{query:>1000000000}",
            "{query[0]}",
            "{__import__('os').system('true')}",
            "{% for x in query %}",
        ],
    )
    def test_have_plain_names_and_nothing_else(self, template: str) -> None:
        with pytest.raises(ValueError, match="lone"):
            Signature(prompt_template=template)

    @pytest.mark.parametrize(
        "value", ["{query}", "{answer.__class__}", "{{x}}", "%(x)s", "$x", "{{ 7*7 }}", *ALL]
    )
    def test_do_not_look_again_at_what_they_were_filled_with(self, value: str) -> None:
        signature = Signature(prompt_template="Q: {query} A: {answer}")
        assert signature.render({"query": value, "answer": "b"}) == f"Q: {value} A: b"

    def test_know_no_names_but_those_of_the_inputs(self) -> None:
        with pytest.raises(SignatureError, match="missing input '__class__'"):
            Signature(prompt_template="{__class__}").render({"query": "x"})


class TestCommands:
    """Cards and data of a stranger, through the command."""

    @pytest.mark.slow
    def test_show_a_strangers_cards(self, command: Command, sums: Workspace) -> None:
        text = "".join([TERMINAL[2], TERMINAL[8], TERMINAL[11], BROWSER[1], MARKDOWN[0]])
        sums.write("registry/evaluators/evil.yaml", {"kind": "exact_match", "purpose": text})
        sums.write("registry/models/evil.yaml", {
            "name": f"counted:{text}", "purpose": text, "price_source": text,
        })  # fmt: skip
        sums.write("registry/architectures/evil.yaml", {
            "name": "evil", "purpose": text, "paper": text, "parameters": {
                "model": {"type": "model", "purpose": text},
            },
            "graph": {text: {"operator": "EnsembleOperator", "lm_modules": [{"model": "$model"}]}},
        })  # fmt: skip
        sums.grid(purpose=text, architectures=[single(label=f"{text} {{model}}".replace("\n", ""))])
        for arguments in (
            ["list"],
            ["show", "evil", "--kind", "architecture"],
            ["show", "evil", "--kind", "evaluator"],
            ["show", f"counted:{text}"],
            ["show", "grid.yaml"],
            ["plan", "grid.yaml"],
            ["run", "grid.yaml", "--no-mlflow"],
            ["show", "trip"],
            ["models", "check"],
            ["run", f"{text}.yaml"],
        ):
            for form in ([], ["--json"]):
                result = command(*arguments, *form)
                assert not OBEYED.search(result.out + result.err), arguments
        kinds = {t.type for t in TestMarkdown.tokens(Path("results/trip/summary.md").read_text())}
        assert not kinds & {"link_open", "image", "html_inline", "html_block"}

    def test_show_a_strangers_answers_and_errors(self, command: Command, sums: Workspace) -> None:
        sums.sums(["\x1b[2J\x1b]8;;http://evil\x07 refuse", "<script>\r crash", "\u202e mumble"])
        result = command("run", "grid.yaml", "--no-mlflow")
        assert not OBEYED.search(result.out + result.err)
