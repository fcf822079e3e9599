from tests.cli.conftest import command, here, sums

__all__ = ["command", "here", "sums"]
