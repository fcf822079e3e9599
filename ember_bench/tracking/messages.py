"""The messages between the tracker and its worker process: JSON, one message a line."""

from __future__ import annotations

from typing import Any

import msgspec

from ember_bench.errors import EmberBenchError
from ember_bench.experiment.results.summary import ExperimentSummary


class TrackingError(EmberBenchError):
    """The results could not be logged to MLflow; the experiment itself is not affected."""


class Point(msgspec.Struct, frozen=True, array_like=True):
    """How far a cell was at some moment.

    Attributes:
        cell: Its name; empty for the experiment as a whole.
        time: Milliseconds since 1970.
        done: Trials that were done, those of earlier runs among them: the step of the curves.
        accuracy: Mean score of the trials so far, failed ones counted as the grid says; None before
            the first, and for the experiment.
        spend_usd: Money paid for them.
        failed: Those of them that ended in an error.
    """

    cell: str
    time: int
    done: int
    accuracy: float | None
    spend_usd: float
    failed: int


class TracedNode(msgspec.Struct, frozen=True):
    """A node of a traced trial; its output is JSON, None if unknown."""

    name: str
    operator: str
    inputs: list[str]
    output: str | None


class TracedCall(msgspec.Struct, frozen=True):
    """A call of a traced trial.

    Attributes:
        messages: The messages sent, as JSON.
        parameters: Sampling parameters, as JSON.
        text: The answer; None if it is not in the response store.
        started: Seconds of the trial's virtual clock.
        made: Whether this trial made the request.
        thoughts: The model's thoughts, if its API gave them apart from the answer.
    """

    node: str
    role: str
    model: str
    messages: str
    parameters: str
    text: str | None
    started: float
    latency_seconds: float | None
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    made: bool
    thoughts: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What an evaluator said of a trial, beside the score.

    Attributes:
        name: What it is about; a verdict called `correct` stands in place of that of the score.
        value: A score, whether it is right, or a category.
        rationale: Its reasons.
        judge: Id of the model that gave it; empty if code did.
    """

    name: str
    value: bool | float | str
    rationale: str = ""
    judge: str = ""


class TracedTrial(msgspec.Struct, frozen=True):
    """A trial with all of its calls.

    Attributes:
        identity: Changes with anything that can change its result.
        nodes: Nodes of the graph, each after its inputs.
        output: The node whose output was scored.
        verdicts: Those of judges, and of further evaluators.
    """

    identity: str
    cell: str
    item: str
    epoch: int
    question: str
    target: str
    outcome: str
    score: float
    answer: str | None
    explanation: str
    error: str | None
    cost_usd: float | None
    nodes: list[TracedNode]
    output: str
    calls: list[TracedCall]
    verdicts: list[Verdict] = []


class NodePrompt(msgspec.Struct, frozen=True):
    """A prompt template of an architecture.

    Attributes:
        name: Of the architecture and the node: letters, digits and `_ - .` only.
        template: The template, with `{{name}}` where an input stands.
    """

    name: str
    template: str


class Network(msgspec.Struct, frozen=True):
    """An architecture with its parameters, the same in all cells that have it.

    Attributes:
        label: Name of the cells.
        purpose: In a line.
        card: The architecture's card, as YAML.
        tree: The graph as text, a line for each node.
        svg: The graph as a picture.
        mermaid: The graph as a Mermaid flowchart.
        cells: Names of the cells.
    """

    label: str
    architecture: str
    purpose: str
    parameters: dict[str, Any]
    models: list[str]
    card: str
    tree: str
    svg: str
    mermaid: str
    prompts: list[NodePrompt]
    cells: list[str]


class Open(msgspec.Struct, frozen=True, tag=True):
    """Open the store; create it if it is missing."""

    tracking_uri: str
    experiment: str
    artifacts: str
    """Folder for the artifacts of a new experiment, if no server keeps them."""


class Begin(msgspec.Struct, frozen=True, tag=True):
    """The experiment is being run: points of its curves follow.

    Attributes:
        summary: Its summary before the first trial.
    """

    summary: ExperimentSummary
    price_date: str | None


class Follow(msgspec.Struct, frozen=True, tag=True):
    """More points of the curves, in order of time."""

    points: list[Point]


class Log(msgspec.Struct, frozen=True, tag=True):
    """Log an experiment; the worker then requests the trials that it needs."""

    summary: ExperimentSummary
    markdown: str
    grid: str
    files: list[str]
    price_date: str | None
    networks: list[Network] = []


class Rows(msgspec.Struct, frozen=True, tag=True):
    """Some trials of the requested cell, by column."""

    columns: dict[str, list[Any]]


class End(msgspec.Struct, frozen=True, tag=True):
    """The requested cell has no more trials."""


class Check(msgspec.Struct, frozen=True, tag=True):
    """Say whether runs are still there, and were not deleted in MLflow."""

    runs: list[str]


class Trace(msgspec.Struct, frozen=True, tag=True):
    """Log trials of the experiment that was logged last as traces."""

    trials: list[TracedTrial]


class LogSearch(msgspec.Struct, frozen=True, tag=True):
    """Log a search for better prompts as a run of its own, unless it is there already.

    Attributes:
        key: Which search it is; a later one with the same key takes its place.
        name: Of the run.
        params: Its parameters.
        metrics: What was found.
        candidates: The metrics of each candidate, in order: the steps of the curves.
        tags: Tags.
        note: The result in Markdown.
        files: The artifacts.
        network: The system with the new prompts.
    """

    key: str
    name: str
    params: dict[str, str]
    metrics: dict[str, float]
    candidates: list[dict[str, float]]
    tags: dict[str, str]
    note: str
    files: list[str]
    network: Network


Request = Open | Begin | Follow | Log | Rows | End | Check | Trace | LogSearch


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The store is ready."""


class Followed(msgspec.Struct, frozen=True, tag=True):
    """The next points may come."""


class Wanted(msgspec.Struct, frozen=True, tag=True):
    """The worker wants the trials of this cell."""

    cell: str


class Logged(msgspec.Struct, frozen=True, tag=True):
    """Where an experiment was logged.

    Attributes:
        digest: `digest_of` the summary.
        tracking_uri: As used, without a password.
        experiment_id: MLflow's.
        run_id: Id of the parent run.
        cells: Run id by name of cell.
        url: Page of the parent run; on MLflow's default port if `command` must be given first.
        cells_url: Page with charts of the cells, from where they are compared item by item too.
        command: Opens MLflow on a database; None for a server, which is open already.
        traces: Number of trials that are there as traces.
    """

    digest: str
    tracking_uri: str
    experiment_id: str
    run_id: str
    cells: dict[str, str]
    url: str
    cells_url: str
    command: str | None
    traces: int = 0


class LoggedSearch(msgspec.Struct, frozen=True, tag=True):
    """Where a search was logged.

    Attributes:
        run_id: Of the run.
        url: Page of the run; on MLflow's default port if `command` must be given first.
        command: Opens MLflow on a database; None for a server, which is open already.
    """

    run_id: str
    url: str
    command: str | None


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The request failed."""

    message: str


class Checked(msgspec.Struct, frozen=True, tag=True):
    """Whether all of the runs are there."""

    there: bool


class Traced(msgspec.Struct, frozen=True, tag=True):
    """The trials are there as traces."""


Reply = Opened | Followed | Wanted | Logged | Failed | Checked | Traced | LoggedSearch

to_json = msgspec.json.Encoder().encode
to_request = msgspec.json.Decoder(Request).decode
to_reply = msgspec.json.Decoder(Reply).decode
