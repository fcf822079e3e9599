from .contents import digest_of as digest_of
from .curves import (
    Curves as Curves,
    unfinished as unfinished,
)
from .kept import is_logged as is_logged
from .messages import (
    Logged as Logged,
    TrackingError as TrackingError,
)
from .tracker import (
    Tracker as Tracker,
    TrialBatch as TrialBatch,
)
