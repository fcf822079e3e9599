"""Programs of other frameworks as operators, and LM modules as models in them."""

from ember_bench.programs.client_program import ClientProgram
from ember_bench.programs.dspy_program import DSPyProgram
from ember_bench.programs.framework_models import dspy_lm, langchain_model
from ember_bench.programs.runnable_program import RunnableProgram

__all__ = ["ClientProgram", "DSPyProgram", "RunnableProgram", "dspy_lm", "langchain_model"]
