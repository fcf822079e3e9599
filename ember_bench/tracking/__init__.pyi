from .curves import (
    Curves as Curves,
    unfinished as unfinished,
)
from .digest import digest_of as digest_of
from .errors import TrackingError as TrackingError
from .messages import Logged as Logged
from .tracker import (
    Tracker as Tracker,
    TrialBatch as TrialBatch,
    is_logged as is_logged,
)
