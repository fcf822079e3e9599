"""Evaluations that MLflow makes itself, in a store that the first argument names.

Two runs of `mlflow.genai.evaluate` with scorers that are plain functions: the first is wrong on one
of 30 sums, the second on six, and has an error on another one. Then `mlflow.models.evaluate`.
"""

import os
import sys

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# With more threads than connections to a database MLflow waits for 30 s, and loses traces.
os.environ["MLFLOW_GENAI_EVAL_MAX_WORKERS"] = "2"
os.environ["MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"] = "50"

import mlflow
import pandas as pd
from mlflow.genai.scorers import scorer
from mlflow.metrics import MetricValue, make_metric

SUMS = range(1, 31)


@scorer
def right(outputs, expectations):
    return outputs == expectations["expected_response"]


@scorer
def characters(outputs):
    return len(outputs)


@scorer
def verdict(outputs, expectations):
    return "yes" if outputs == expectations["expected_response"] else "no"


def predict(wrong, broken):
    def answer(question):
        number = int(question.split()[0])
        if number in broken:
            raise RuntimeError("no answer")
        return str(0 if number in wrong else number + 1)

    return answer


def matches(predictions, targets):
    return MetricValue(scores=[float(p == t) for p, t in zip(predictions, targets, strict=True)])


mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("theirs")
data = [
    {"inputs": {"question": f"{i} + 1 = ?"}, "expectations": {"expected_response": str(i + 1)}}
    for i in SUMS
]
for name, wrong, broken in (("good", {3}, set()), ("poor", {3, 4, 5, 6, 7, 8}, {9})):
    with mlflow.start_run(run_name=name):
        answer = predict(wrong, broken)
        mlflow.genai.evaluate(data=data, predict_fn=answer, scorers=[characters, right, verdict])
table = pd.DataFrame(
    {
        "question": [row["inputs"]["question"] for row in data],
        "ground_truth": [row["expectations"]["expected_response"] for row in data],
        "predictions": [str(i + 1 if i > 3 else 0) for i in SUMS],
    }
)
with mlflow.start_run(run_name="table"):
    mlflow.models.evaluate(
        data=table,
        predictions="predictions",
        targets="ground_truth",
        extra_metrics=[make_metric(eval_fn=matches, greater_is_better=True, name="matches")],
    )
