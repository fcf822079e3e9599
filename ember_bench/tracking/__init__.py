"""The record for people: an experiment's runs in MLflow. Importing this does not import mlflow."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
