from .datasets import (
    Dataset as Dataset,
    Item as Item,
)
from .errors import (
    ConfigError as ConfigError,
    EmberBenchError as EmberBenchError,
)
from .graph import (
    ExecutionPlan as ExecutionPlan,
    GraphExecutorService as GraphExecutorService,
    NoNGraphData as NoNGraphData,
    Scheduler as Scheduler,
    build_graph as build_graph,
    describe_graph as describe_graph,
    jit as jit,
    load_operator as load_operator,
    vmap as vmap,
)
from .models import (
    MemoryStore as MemoryStore,
    ModelCost as ModelCost,
    ModelInfo as ModelInfo,
    ModelRegistry as ModelRegistry,
    ModelService as ModelService,
    ProviderInfo as ProviderInfo,
    RateLimit as RateLimit,
    ResponseStore as ResponseStore,
    UsageService as UsageService,
    settings as settings,
)
from .operators import (
    Attempts as Attempts,
    BestOf as BestOf,
    Branch as Branch,
    CascadeOperator as CascadeOperator,
    Conversation as Conversation,
    Critic as Critic,
    Debate as Debate,
    EnsembleOperator as EnsembleOperator,
    FilterVote as FilterVote,
    FindPerspectives as FindPerspectives,
    Function as Function,
    Fuser as Fuser,
    GetAnswerOperator as GetAnswerOperator,
    Interview as Interview,
    JudgeBasedOperator as JudgeBasedOperator,
    JudgeExplainerOperator as JudgeExplainerOperator,
    LMModule as LMModule,
    LMModuleConfig as LMModuleConfig,
    Map as Map,
    MostCommonOperator as MostCommonOperator,
    Operator as Operator,
    OperatorKind as OperatorKind,
    OracleOperator as OracleOperator,
    Outline as Outline,
    PairwiseTournament as PairwiseTournament,
    Predict as Predict,
    PromptMixin as PromptMixin,
    RankFilter as RankFilter,
    Reflect as Reflect,
    Retrieve as Retrieve,
    Router as Router,
    SelfRefine as SelfRefine,
    Sequential as Sequential,
    Signature as Signature,
    Tool as Tool,
    ToolUser as ToolUser,
    TreeSearch as TreeSearch,
    UnitTestEvaluator as UnitTestEvaluator,
    UnitTestGenerator as UnitTestGenerator,
    VerifierOperator as VerifierOperator,
    WeightedVote as WeightedVote,
    WriteArticle as WriteArticle,
    parallel as parallel,
    save_operator as save_operator,
)
from .programs import (
    ClientProgram as ClientProgram,
    DSPyProgram as DSPyProgram,
    RunnableProgram as RunnableProgram,
    dspy_lm as dspy_lm,
    langchain_model as langchain_model,
)
from .running.study import (
    Study as Study,
    arun as arun,
    load_results as load_results,
    run as run,
)
from .running.study_spec import (
    architecture as architecture,
    single as single,
)
from .running.trials import (
    trial as trial,
    usage as usage,
)

__version__: str
