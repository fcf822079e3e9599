from .cards import DatasetCard as DatasetCard
from .dataset import Dataset as Dataset
from .generated import (
    generator as generator,
    generators as generators,
)
from .item import Item as Item
from .load import (
    load_dataset as load_dataset,
    read_card as read_card,
)
from .records import Records as Records
from .sources import (
    Opening as Opening,
    record_source as record_source,
)
from .splitmix import SplitMix as SplitMix
