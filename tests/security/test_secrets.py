"""Keys and passwords are in nothing that a run leaves behind, prints or says.

One run is made of everything that can go wrong with a key in hand, and all of it is searched.
"""

from __future__ import annotations

import base64
import copy
import html
import io
import json
import logging
import pickle
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import SecretStr

from ember_bench import secrets
from ember_bench.cli import main
from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models import ModelInfo, ModelRegistry, ModelService, ProviderInfo, UsageService
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.base import provider_class
from ember_bench.models.retry import RetryPolicy
from ember_bench.secrets import redacted, without_secrets
from tests.support.openai_server import Answer, Asked, Fault, OpenAIServer
from tests.support.workspace import Workspace, single

pytestmark = pytest.mark.slow

IN_ENVIRONMENT = "sk-env-Q7f3kLmZ2xV9"
ON_CARD = "sk-card-W8g4nPq1yB6"
OF_PROVIDER = "sk-prov-E5h2rStU3cD0"
IN_ADDRESS = "pw-addr/R6j7vWx8eF"
OF_TRACKING = "pw-track-T9k1zAb4gH"
SECRETS = (IN_ENVIRONMENT, ON_CARD, OF_PROVIDER, IN_ADDRESS, OF_TRACKING)

# A user's own operator, which says in its error what it should not.
LEAKY = """\
import os
from ember_bench.operators.base import Operator
from ember_bench.operators import operator

@operator
class Leaky(Operator):
    def forward(self, inputs):
        key, url = os.environ["OPENAI_API_KEY"], "http://me:PASSWORD@host/v1"
        raise RuntimeError(f"cannot ask {url} with {key} (headers: Bearer {key})")
""".replace("PASSWORD", IN_ADDRESS)


def forms(secret: str) -> list[bytes]:
    """Return what a secret may look like in a file."""
    raw = secret.encode()
    return [
        raw,
        raw[3:],
        secret.encode("utf-16-le"),
        quote(secret, safe="").encode(),
        base64.b64encode(raw)[:-4],
        base64.b64encode(f"me:{secret}".encode())[:-4],
    ]


def found_in(content: bytes) -> list[str]:
    return [secret for secret in SECRETS if any(form in content for form in forms(secret))]


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below `folder`, compressed tables as text."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()
            if path.suffix == ".parquet":
                yield path, str(pq.read_table(path).to_pydict()).encode()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(port: int) -> str:
    return f"http://me:{quote(IN_ADDRESS, safe='')}@127.0.0.1:{port}/v1"


@dataclass
class World:
    """A folder in which commands were run, all that they printed, and what the server was sent."""

    root: Path
    printed: dict[str, str] = field(default_factory=dict)
    authorizations: set[str] = field(default_factory=set)

    def run(self, *arguments: str, **environment: str) -> None:
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
            patch.chdir(self.root)
            for name, value in {"OPENAI_API_KEY": IN_ENVIRONMENT, **environment}.items():
                patch.setenv(name, value)
            with redirect_stderr(printed), pytest.raises(SystemExit):
                main(arguments)
        self.printed[" ".join(arguments)] = printed.getvalue()


def reply(asked: Asked) -> Answer | Fault:
    """Refuse some models, quoting the key; echo it to others in a body that is no answer."""
    shown = asked.headers.get("authorization", "none")
    match asked.body["model"]:
        case "refused":
            return Fault(401, f"Incorrect API key provided: {shown}. You can find your key at ...")
        case "malformed":
            return Fault(200, f"<html>You sent {shown} to {asked.path}</html>", raw=True)
        case "echo":
            return Answer(f"You sent {shown}. Answer: 8")
        case _:
            return Answer("Answer: 8")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("world"))
    with OpenAIServer(reply) as server:
        lay_out(Workspace(world.root), server.port)
        world.run("plan", "grid.yaml", "--json")
        world.run("run", "grid.yaml")
        world.run("run", "grid.yaml", "--json", "--no-mlflow")
        tracking = f"http://me:{OF_TRACKING}@127.0.0.1:{closed_port()}"
        world.run("run", "grid.yaml", "--tracking-uri", tracking)
        world.run("run", "grid.yaml", "--tracking-uri", f"ftp://me:{OF_TRACKING}@host/")
        for command in (
            "list", "list --json", "plan grid.yaml", "show trip", "show trip --json",
            "models check", "models check --json", "show openai:card", "show openai:card --json",
            "show openai:default --json", "show openai:address", "show openai:address --json",
        ):  # fmt: skip
            world.run(*command.split())
        world.run("run", "grid.yaml", OPENAI_BASE_URL=f"ftp://me:{IN_ADDRESS}@host/")
        world.run("run", f"http://me:{IN_ADDRESS}@host/grid.yaml")
        world.authorizations = {asked.headers.get("authorization", "") for asked in server.asked}
    return world


def lay_out(workspace: Workspace, port: int) -> None:
    url = f"http://127.0.0.1:{port}/v1"
    fields: dict[str, dict[str, object]] = {
        "env": {},
        "card": {"api_key": ON_CARD},
        "default": {"provider": {"default_api_key": OF_PROVIDER}},
        "address": {"provider": {"base_url": address(port)}},
        "echo": {},
        "refused": {"api_key": ON_CARD},
        "malformed": {"api_key": ON_CARD, "deadline_seconds": 0.3},
        "unreachable": {
            "provider": {"base_url": address(closed_port())},
            "deadline_seconds": 0.3,
        },
    }
    for name, more in fields.items():
        provider = {"name": "openai", "base_url": url} | dict(more.get("provider", {}))  # type: ignore[call-overload]
        card = {"name": f"openai:{name}"} | more | {"provider": provider}
        workspace.write(f"registry/models/{name}.yaml", card)
    workspace.write("registry/leaky.py", LEAKY)
    workspace.write("registry/architectures/leaky.yaml", {
        "name": "leaky", "purpose": "Fails.", "graph": {"answer": {"operator": "Leaky"}},
    })  # fmt: skip
    workspace.sums(3)
    models = [f"openai:{name}" for name in fields]
    workspace.grid(architectures=[single(models), "leaky"])


class TestARun:
    def test_used_the_keys_and_failed_where_it_was_to(self, world: World) -> None:
        """Else there would be nothing to find."""
        keys = (IN_ENVIRONMENT, ON_CARD, OF_PROVIDER)
        assert {f"Bearer {key}" for key in keys} <= world.authorizations
        with (
            closing(sqlite3.connect(world.root / "results" / "trip" / "trials.db")) as trials,
            trials,
        ):
            (table,) = trials.execute(
                "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
                "WHERE m.type = 'table' AND c.name = 'error'"
            ).fetchone()
            rows = trials.execute(f"SELECT error FROM {table} WHERE error IS NOT NULL")
            errors = " ".join(error for (error,) in rows)
        for said in ("HTTP 401", "Bearer ***", "malformed", "connection", "in forward", "***@host"):
            assert said in errors
        with (
            closing(sqlite3.connect(world.root / "results" / "responses.db")) as responses,
            responses,
        ):
            texts = {text for (text,) in responses.execute("SELECT text FROM responses")}
        assert texts == {"Answer: 8", "You sent Bearer ***. Answer: 8"}

    def test_leaves_no_secret_in_any_file(self, world: World) -> None:
        searched = set()
        for path, content in contents(world.root):
            if path.is_relative_to(world.root / "registry"):
                continue  # where they were put
            assert not found_in(content), path
            searched.add(path.name)
        assert searched >= {
            "responses.db", "trials.db", "mlflow.db", "summary.json", "summary.md",
            "trials.parquet", "trials.json", "accuracy_and_cost.html", "grid.yaml",
        }  # fmt: skip

    def test_prints_none(self, world: World) -> None:
        for command, text in world.printed.items():
            assert not found_in(text.encode()), command
            assert "Traceback" not in text, command

    def test_says_what_to_do_next_without_the_password(self, world: World) -> None:
        (again,) = [t for c, t in world.printed.items() if "127.0.0.1" in c and "tracking" in c]
        assert "to try them again: ember-bench run grid.yaml --tracking-uri http://***@" in again
        assert "the results are not in MLflow (http://***@" in again

    def test_logs_none_even_if_everything_is_logged(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", IN_ENVIRONMENT)
        caplog.set_level(logging.DEBUG)
        with OpenAIServer(reply) as server:
            provider = ProviderInfo(name="openai", base_url=server.base_url)
            for name in ("env", "refused"):
                ask(ModelInfo(model_id=f"openai:{name}", provider=provider))
        assert caplog.records
        assert not found_in(caplog.text.encode())


def ask(model: ModelInfo) -> ProviderError | None:
    registry = ModelRegistry()
    registry.register_model(model)
    service = ModelService(registry, retry=RetryPolicy(attempts=1))
    try:
        service(model, "1 + 1 = ?")
    except ProviderError as error:
        return error
    return None


@pytest.fixture
def model() -> ModelInfo:
    return ModelInfo(
        model_id="openai:m",
        provider=ProviderInfo(
            name="openai",
            default_api_key=SecretStr(OF_PROVIDER),
            base_url=address(closed_port()),
        ),
        api_key=SecretStr(ON_CARD),
    )


class TestAnObject:
    def test_shows_none(self, model: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", IN_ENVIRONMENT)
        registry, usage = ModelRegistry(), UsageService()
        registry.register_model(model)
        service = ModelService(registry, usage)
        provider = provider_class("openai")(model)
        for thing in (model, model.provider, registry, list(registry), service, usage, provider):
            for shown in (repr(thing), str(thing), f"{thing}"):
                assert not found_in(shown.encode()), type(thing)
        assert "http://***@127.0.0.1" in repr(model)
        assert not found_in(model.model_dump_json().encode())

    def test_takes_none_with_it_when_it_is_pickled(self, model: ModelInfo) -> None:
        stripped = model.model_copy(update={"provider": _without_address(model)})
        assert stripped.connection  # which has the key in it, and is kept
        packed = pickle.dumps(stripped)
        assert not found_in(packed)
        again = pickle.loads(packed)
        assert (again.model_id, again.key) == ("openai:m", None)

    def test_keeps_its_key_when_it_is_copied(self, model: ModelInfo) -> None:
        for same in (copy.copy(model), copy.deepcopy(model), model.model_copy(deep=True)):
            assert same.key is not None
            assert same.key.get_secret_value() == ON_CARD

    def test_that_is_an_error_has_none_in_text_or_pickle(self, model: ModelInfo) -> None:
        error = ask(model)
        assert error is not None
        for shown in (str(error), repr(error), repr(error.__cause__), repr(error.__context__)):
            assert not found_in(shown.encode())
        assert not found_in(pickle.dumps(error))


def _without_address(model: ModelInfo) -> ProviderInfo:
    return model.provider.model_copy(update={"base_url": None})


class TestAMistake:
    @pytest.mark.parametrize(
        "card",
        [
            {"api_key": 123456789012},
            {"api_key": True},
            {"provider": {"name": "openai", "default_api_key": 123456789012}},
            {"provider": {"name": "openai", "base_url": 123456789012}},
            {"apikey": "123456789012"},
            {"provider": {"name": "openai", "key": "123456789012"}},
        ],
    )
    def test_in_a_card_is_told_without_the_value(self, card: dict[str, object]) -> None:
        text = yaml.safe_dump({"name": "openai:m"} | card)
        with pytest.raises(ConfigError) as caught:
            models_of_card(parse_document(text, Path("card.yaml")))
        assert "card.yaml:" in str(caught.value)
        assert "123456789012" not in str(caught.value)
        assert "found True" not in str(caught.value)

    def test_in_an_address_is_told_without_its_password(self) -> None:
        provider = ProviderInfo(name="openai", base_url=f"ftp://me:{IN_ADDRESS}@host")
        with pytest.raises(ConfigError, match=r"found 'ftp://\*\*\*@host'"):
            provider_class("openai")(ModelInfo(model_id="openai:m", provider=provider))

    def test_in_a_key_is_told_without_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", f"{IN_ENVIRONMENT}\u00e9")
        with pytest.raises(ConfigError, match="characters that no key can have") as caught:
            provider_class("openai").check([ModelInfo(model_id="openai:m")])
        assert IN_ENVIRONMENT not in str(caught.value)


class TestATextWithoutSecrets:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("at postgresql://me:s3cret@host/db", "at postgresql://***@host/db"),
            ("at http://token@host/x, then", "at http://***@host/x, then"),
            ("mysql://me:p/w@host/db", "mysql://***@host/db"),
            ("mysql://me:p@w@host/db", "mysql://***@host/db"),
            ("'http://me:pw@h' and 'http://h/a'", "'http://***@h' and 'http://h/a'"),
            ("https://h/x?user=me&password=s3cret&x=1", "https://h/x?user=me&password=***&x=1"),
            ("https://h/x?api_key=s3cret", "https://h/x?api_key=***"),
            ("mssql://?odbc_connect=UID%3Dme%3BPWD%3Ds3cret%3B", "PWD%3D***%3B"),
            ("sorted(names, key=len); max_tokens=64", "sorted(names, key=len); max_tokens=64"),
            ("write to me@example.com", "write to me@example.com"),
        ],
    )
    def test_has_no_passwords_of_addresses(self, text: str, shown: str) -> None:
        assert redacted(text).endswith(shown)
        assert "s3cret" not in redacted(text)

    @pytest.mark.parametrize(
        "name", ["OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET", "PGPASSWORD", "MY_PASSWORD", "KEY"]
    )
    def test_has_none_of_the_environments(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(name, "hush-hush-1")
        assert without_secrets("said hush-hush-1 aloud") == "said *** aloud"

    def test_has_none_that_a_card_gave(self) -> None:
        ModelInfo(model_id="openai:m", api_key=SecretStr("hush-hush-2"))
        assert without_secrets("said hush-hush-2 aloud") == "said *** aloud"

    def test_has_the_longer_of_two_hidden_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("A_KEY", "hush-hush")
        monkeypatch.setenv("B_KEY", "hush-hush-hush")
        assert without_secrets("hush-hush-hush") == "***"

    def test_keeps_words_that_are_too_short_to_be_keys(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SORT_KEY", "name")
        secrets.remember("short")
        assert without_secrets("a short name") == "a short name"

    def test_keeps_what_only_looks_like_the_name_of_a_key(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("MONKEY", "PWD", "OLDPWD", "TOKENS", "KEY_FILE"):
            monkeypatch.setenv(name, "/home/me/bench")
        assert without_secrets("see /home/me/bench") == "see /home/me/bench"

    @pytest.mark.parametrize(
        "piece",
        [
            "x", "hush-hush-1 ", "aHVzaC1odXNo", "://", "http://me@h/", "?", "?token", "?key=",
            "&a", "%26key%3D", "basic ", "basic+", "\\u0068", "&#0", "%25", "=", " ",
        ],
    )  # fmt: skip
    def test_may_be_long(self, piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pattern that looks from each place to the end takes hours, and nothing can stop it."""
        monkeypatch.setenv("A_KEY", "hush-hush-1")
        text = piece * (500_000 // len(piece))
        assert "hush-hush-1" not in without_secrets(f"{text}{piece[0]}")


FORMS = {
    "itself": lambda s: s,
    "quoted": quote,
    "quoted wholly": lambda s: quote(s, safe=""),
    "quoted twice": lambda s: quote(quote(s, safe=""), safe=""),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON in JSON": lambda s: json.dumps(json.dumps(s))[3:-3],
    "JSON with escaped slashes": lambda s: s.replace("/", "\\/"),
    "JSON with every character escaped": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "HTML": html.escape,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for addresses": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    **{
        f"Basic credentials of {user}": lambda s, user=user: base64.b64encode(
            f"{user}:{s}".encode()
        ).decode()
        for user in ("a", "me", "you", "user")
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_hidden_in_whatever_form_it_is_written(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'sk-Q7/f3+k"Lm&Z2é'
    monkeypatch.setattr(secrets, "_given", {secret})
    assert without_secrets(f"key: {FORMS[form](secret)}; no more") == "key: ***; no more"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Basic bWU6cHc=", "Authorization: Basic ***"),
        ("authorization: basic dXNlcjpwYXNzd29yZA==.", "authorization: basic ***."),
        ("a basic understanding of it", "a basic understanding of it"),
        ("Basic English: words", "Basic English: words"),
    ],
)
def test_basic_credentials_are_hidden_and_words_are_not(text: str, hidden: str) -> None:
    assert redacted(text) == hidden
