"""What every statistic asks of its input, checked in one place."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Labels: TypeAlias = Sequence[Hashable] | npt.NDArray[np.generic]


def vector(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as finite floats of shape ``(n,)``."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not shape {array.shape}")
    return _finite(array, name)


def matrix(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as finite floats of shape ``(n_items, n_columns)``."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, not shape {array.shape}")
    return _finite(array, name)


def _finite(array: FloatArray, name: str) -> FloatArray:
    bad = np.count_nonzero(~np.isfinite(array))
    if bad:
        raise ValueError(f"{name} has {bad} values that are not finite numbers")
    return array


def in_unit_interval(array: FloatArray, name: str) -> FloatArray:
    """Return ``array`` unchanged, having checked that it holds scores in [0, 1]."""
    if array.size and (array.min() < 0 or array.max() > 1):
        raise ValueError(f"{name} must lie in [0, 1], found {array.min():g} to {array.max():g}")
    return array


def not_negative(array: FloatArray, name: str) -> FloatArray:
    """Return ``array`` unchanged, having checked that no value is below zero."""
    if array.size and array.min() < 0:
        raise ValueError(f"{name} must not be negative, found {array.min():g}")
    return array


def mask(values: npt.ArrayLike, name: str) -> BoolArray:
    """Return ``values``, booleans or 0/1, as booleans of shape ``(n,)``."""
    array = vector(values, name)
    if not is_binary(array):
        raise ValueError(f"{name} must hold only true and false (1 and 0)")
    return np.equal(array, 1.0)


def is_binary(array: FloatArray) -> bool:
    """Say whether every value is 0 or 1."""
    return bool(np.all((array == 0) | (array == 1)))


def codes(labels: Labels, n: int, name: str) -> IntArray:
    """Number ``labels`` 0, 1, ... in order of first appearance; shape ``(n,)``."""
    if len(labels) != n:
        raise ValueError(f"{name} has {len(labels)} entries for {n} values")
    numbers: dict[Hashable, int] = {}
    return np.array(
        [numbers.setdefault(label, len(numbers)) for label in _hashables(labels)], dtype=np.int64
    )


def n_labels(labels: Labels) -> int:
    """Count the different labels."""
    return len(set(_hashables(labels)))


def _hashables(labels: Labels) -> Sequence[Hashable]:
    # Elements of an array are slow to hash one by one; the list of them is not.
    return labels.tolist() if isinstance(labels, np.ndarray) else labels


def same_length(first: FloatArray, second: FloatArray, names: str) -> None:
    """Refuse two arrays that do not describe the same items."""
    if first.shape[0] != second.shape[0]:
        raise ValueError(
            f"{names} must be of the same items: {first.shape[0]} and {second.shape[0]} values"
        )


def check_probability(value: float, name: str) -> float:
    """Refuse what is not strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, not {value}")
    return value


def check_count(value: int, name: str, least: int = 1) -> int:
    """Refuse a whole number below ``least``."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    return value


def symmetric_root(covariance: FloatArray) -> FloatArray:
    """Return the symmetric matrix whose square is a covariance, whose rounding may be below 0.

    It is one for each covariance. A root made of eigenvectors alone is not: their signs, and those
    of equal variance as a whole, differ between processors, and what is drawn with it does, too.
    """
    values, vectors = np.linalg.eigh(covariance)
    root: FloatArray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
