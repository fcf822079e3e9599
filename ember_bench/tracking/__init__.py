"""The runs of an experiment in MLflow. Importing this package does not import mlflow."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
