"""Functions of the tasks in this folder."""

import random

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask


def results(doc, found):
    (text,) = found
    words = text.split()
    return {
        "spread": (doc["gold"], len(words)),
        "words": len(words),
        "contained": doc["answer"].lower() in text.lower(),
        "closeness": 1 / (1 + abs(len(words) - 1)),
    }


def closeness(doc, found):
    return {"closeness": results(doc, found)["closeness"]}


def spread(pairs):
    return max(length for _, length in pairs) - min(length for _, length in pairs)


def shuffled(dataset):
    def shuffle(doc):
        order = list(doc["choices"])
        random.shuffle(order)
        return {"order": order, "right": f"({'ABCD'[order.index(doc['answer'])]})"}

    return dataset.map(shuffle, load_from_cache_file=True)


def text(doc):
    return f"{doc['question']}\nIn one word:"


def target(doc):
    return doc["answer"].lower()


def last_words(resps, docs):
    return [[(text.split() or [""])[-1].strip(".!") for text in texts] for texts in resps]


class Spelled(ConfigurableTask):
    """A task that is written in Python."""

    VERSION = 1
    DATASET_PATH = "json"

    def __init__(self, config=None):
        super().__init__(
            config={
                "task": "t_python_class",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": "items.jsonl"}},
                "test_split": "test",
                "doc_to_text": "Spell it: {{question}}",
                "doc_to_target": "{{answer}}",
                "metric_list": [{"metric": "exact_match"}],
                "metadata": {"version": 1},
            }
        )

    def construct_requests(self, doc, ctx, **kwargs):
        kwargs.pop("apply_chat_template", None)
        kwargs.pop("chat_template", None)
        return Instance(
            request_type="generate_until",
            doc=doc,
            arguments=(ctx, {"until": [" "]}),
            idx=0,
            **kwargs,
        )

    def process_results(self, doc, results):
        first = results[0][:1].lower()
        return {"exact_match": float(first == doc["answer"][0].lower())}
