"""Generated network flows, for labelling: made up, and told apart by plain rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from ember_bench.datasets.generated import generator
from ember_bench.datasets.item import Item

if TYPE_CHECKING:
    from ember_bench.datasets.splitmix import SplitMix

# So many flows in one question have difficulty one half.
_HALF_EFFORT: Final = 10


@generator("network_flows")
def network_flows(
    random: SplitMix, item_id: str, *, flows: Annotated[int, Field(ge=1, le=50)] = 4
) -> Item:
    """Make `flows` network flows, each to be labelled 0 (benign) or 1 (malicious), as likely.

    Difficulty is n / (n + 10) for n flows.
    """
    labels = [random.between(0, 1) for _ in range(flows)]
    kinds = [random.choice(_MALICIOUS if label else _BENIGN) for label in labels]
    lines = [f"{number}. {kind(random)}" for number, kind in enumerate(kinds, start=1)]
    return Item(
        id=item_id,
        question=(
            "Network flows from one host, one to a line:\n\n"
            + "\n".join(lines)
            + "\n\nLabel each flow as 0 for benign or 1 for malicious, in order. "
            "End with a line of the form `Answer: 0 1`, with one label for each flow."
        ),
        target=" ".join(map(str, labels)),
        category=f"{flows} flows",
        difficulty=round(flows / (flows + _HALF_EFFORT), 4),
        metadata={"kinds": [kind.__name__.strip("_") for kind in kinds]},
    )


def _flow(
    protocol: str, port: int, seconds: float, packets: int, sent: int, received: int, flags: str
) -> str:
    return (
        f"{protocol} to port {port}, {seconds:g} s, {packets} packets, "
        f"{sent} bytes out, {received} bytes in, flags {flags}"
    )


def _web(random: SplitMix) -> str:
    packets = random.between(12, 90)
    seconds = random.between(2, 80) / 10
    sent = random.between(900, 6_000)
    return _flow("TCP", 443, seconds, packets, sent, packets * 1_100, "SYN ACK PSH FIN")


def _name_lookup(random: SplitMix) -> str:
    sent = random.between(50, 80)
    return _flow("UDP", 53, random.between(1, 9) / 100, 2, sent, sent * 2, "none")


def _mail(random: SplitMix) -> str:
    packets = random.between(20, 60)
    seconds = random.between(5, 50) / 10
    return _flow("TCP", 993, seconds, packets, packets * 90, packets * 700, "SYN ACK PSH FIN")


def _port_scan(random: SplitMix) -> str:
    return _flow("TCP", random.between(1_025, 65_000), 0.01, 2, 60, 40, "SYN RST")


def _flood(random: SplitMix) -> str:
    packets = random.between(20_000, 90_000)
    return _flow("TCP", 80, random.between(1, 5), packets, packets * 60, 0, "SYN")


def _password_guessing(random: SplitMix) -> str:
    tries = random.between(300, 2_000)
    return _flow("TCP", 22, tries / 2, tries * 14, tries * 1_500, tries * 1_700, "SYN ACK PSH RST")


def _tunnel(random: SplitMix) -> str:
    packets = random.between(4_000, 9_000)
    return _flow("UDP", 53, random.between(60, 600), packets, packets * 220, packets * 90, "none")


_BENIGN: Final = (_web, _name_lookup, _mail)
_MALICIOUS: Final = (_port_scan, _flood, _password_guessing, _tunnel)
