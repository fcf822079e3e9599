import subprocess
import sys

import pytest

from ember_bench import stats


def test_importing_the_package_loads_neither_numpy_nor_scipy():
    code = (
        "import sys; import ember_bench.stats; print(sorted({'numpy', 'scipy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_using_it_does_not_load_scipy_stats():
    code = (
        "import sys; from ember_bench import stats; [getattr(stats, n) for n in stats.__all__];"
        "print('scipy.stats' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize("name", stats.__all__)
def test_every_public_name_exists_and_says_what_it_is(name):
    assert name in dir(stats)
    assert getattr(stats, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"No ember_bench\.stats attribute wilson"):
        _ = stats.wilson
