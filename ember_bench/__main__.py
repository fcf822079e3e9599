"""The command `ember-bench`, as `python -m ember_bench`."""

from ember_bench.cli import main

if __name__ == "__main__":
    main()
