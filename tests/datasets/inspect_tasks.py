"""Tasks of Inspect that the tests read; a few do more than ask one question."""

from random import Random

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, get_model
from inspect_ai.scorer import (
    Score,
    Target,
    answer,
    choice,
    exact,
    f1,
    includes,
    match,
    mean,
    model_graded_qa,
    pattern,
    scorer,
)
from inspect_ai.solver import (
    TaskState,
    chain_of_thought,
    generate,
    multiple_choice,
    prompt_template,
    self_critique,
    solver,
    system_message,
    use_tools,
)
from inspect_ai.tool import tool

CAPITALS = [
    Sample(input="What is the capital of France?", target="Paris", id="fr"),
    Sample(input="What is the capital of Peru?", target=["Lima", "Lima, Peru"], id="pe"),
    Sample(input="How many seas has Spain?", target="2"),
]
CHOICES = [
    Sample(input="Which is a colour?", choices=["cat", "blue", "run"], target="B"),
    Sample(input="Which is a verb?", choices=["cat", "blue", "run"], target="C"),
]


@task
def plain(greeting: str = "Hello"):
    return Task(
        CAPITALS,
        solver=[system_message(f"{greeting}, {{name}}."), generate()],
        scorer=[includes(), match(), exact(), f1()],
        setup=named(),
    )


@solver
def named():
    async def solve(state, generate):
        state.metadata["name"] = str(state.sample_id)
        return state

    return solve


@task
def thinking():
    return Task(CAPITALS, solver=[chain_of_thought(), generate()], scorer=answer("line"))


@task
def numbers():
    prompt = prompt_template("{prompt}\nEnd with ANSWER: and a number.")
    return Task(CAPITALS[2:], solver=[prompt, generate()], scorer=pattern(r"ANSWER: (\d+)"))


@task
def choices():
    return Task(CHOICES, solver=multiple_choice(), scorer=choice())


@task
def shuffled_choices():
    data = MemoryDataset([sample.model_copy(deep=True) for sample in CHOICES])
    data.shuffle_choices(seed=1)
    return Task(data, solver=multiple_choice(cot=True), scorer=choice())


@task
def conversation():
    talk = [
        ChatMessageSystem(content="Be brief."),
        ChatMessageUser(content="Hi."),
        ChatMessageAssistant(content="Hello."),
        ChatMessageUser(content="What is 2 + 2?"),
    ]
    return Task([Sample(input=talk, target="4")], scorer=match(numeric=True))


@scorer(metrics={"length": [mean()], "right": [mean()]})
def several():
    async def score(state: TaskState, target: Target):
        text = state.output.completion
        value = {"length": min(1.0, len(text) / 10), "right": target.text in text}
        return Score(value=value, answer=text, explanation="Two values.")

    return score


@task
def two_values():
    return Task(CAPITALS, scorer=several())


@task
def graded():
    return Task(CAPITALS, scorer=model_graded_qa(model="mockllm/model"))


@task
def critical():
    return Task(CAPITALS, solver=[generate(), self_critique(model="mockllm/model")], scorer=match())


@task
def twice():
    return Task(CAPITALS, solver=[generate(), generate()], scorer=match())


@task
def unseeded():
    data = [Sample(input="Which?", choices=list("abcdefghij"), target="B")]
    return Task(data, solver=multiple_choice(shuffle=Random()), scorer=choice())


@tool
def clock():
    async def execute(zone: str):
        """Tell the time.

        Args:
            zone: A zone.
        """
        return "noon"

    return execute


@task
def tools():
    return Task(CAPITALS, solver=[use_tools(clock()), generate()], scorer=match())


@task
def boxed():
    return Task(CAPITALS, scorer=match(), sandbox="local")


@task
def unscored():
    return Task(CAPITALS)


@task
def silent():
    return Task(CAPITALS, solver=named(), scorer=match())


@solver
def asks():
    async def solve(state, generate):
        await get_model("mockllm/model").generate("May I?")
        return await generate(state)

    return solve


@task
def asking():
    return Task(CAPITALS, solver=asks(), scorer=match())
