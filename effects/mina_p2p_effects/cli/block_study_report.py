"""What ``mina-p2p block-study`` says of its runs, as lines and as JSON, and how the ways compare over several networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any, Final, TypeAlias

from mina_p2p.blocks.study import Outcome, Protocol, Setting
from mina_p2p.ids import MILLISECOND

SHARES: Final = (50, 90, 99)
"""Percent of the nodes, to which times are told."""
BYTES_PER_MBIT: Final = 125_000

Named: TypeAlias = tuple[str, Outcome]
"""A block's name, and what came of it in one run."""


def is_by_outlines(outcome: Outcome) -> bool:
    """Whether it tells of channel 10, simulated or with real nodes."""
    return outcome.protocol.startswith(Protocol.OUTLINES.value)


def links(setting: Setting) -> str:
    """How wide they are, for people."""
    return f"{setting.rate // BYTES_PER_MBIT} Mbit/s" if setting.rate else "loopback"


def line(name: str, outcome: Outcome) -> str:
    """One run of one block, for people."""
    setting = outcome.setting
    warm = f"{setting.warm_percent:3} % warm" if is_by_outlines(outcome) else " " * 10
    times = " / ".join("-" if at is None else str(at) for at in _milliseconds(outcome))
    return (
        f"{name[:12]:12} {outcome.block_bytes:7} B  {outcome.protocol:10} {warm} "
        f"{links(setting)} verify {setting.verify // MILLISECOND} ms: "
        f"reached {outcome.reached}, ms to 50/90/99 % {times}, "
        f"bytes {outcome.useful_bytes:.0f} + {outcome.duplicate_bytes:.0f} twice + {outcome.announcement_bytes:.0f} announcing"
    )


def plain(name: str, outcome: Outcome) -> dict[str, Any]:
    """One run of one block, for JSON."""
    setting = outcome.setting
    return {
        "block": name,
        "block_bytes": outcome.block_bytes,
        "body_bytes": outcome.body_bytes,
        "protocol": outcome.protocol,
        "nodes": setting.nodes,
        "peers": setting.peers,
        "warm_percent": setting.warm_percent if is_by_outlines(outcome) else None,
        "rate_mbit_per_second": setting.rate // BYTES_PER_MBIT or None,
        "verify_ms": setting.verify // MILLISECOND,
        "delay_ms": [setting.delay_min // MILLISECOND, setting.delay_max // MILLISECOND] if setting.rate else None,
        "earlier": setting.earlier,
        "seed": setting.seed,
        "reached": outcome.reached,
        "ms_to": dict(zip(map(str, SHARES), _milliseconds(outcome), strict=True)),
        "useful_bytes": outcome.useful_bytes,
        "duplicate_bytes": outcome.duplicate_bytes,
        "announcement_bytes": outcome.announcement_bytes,
    }


def compared(outcomes: Iterable[Named], rivals: int) -> Iterator[dict[str, Any]]:
    """Of each block, width of links, verification and share of warm items: medians over the networks of the time to 99 % of the nodes by
    channel 10, by the better of the others, and of the one over the other.

    Medians are over ``networks``; in ``not_reached`` more channel 10 did not reach 99 %, in ``others_not_reached`` more it did and none of
    the others. Where all networks are such, medians are ``None``. Networks that were not run to the end are left out.

    :param rivals: how many others run in each network.
    """
    others: dict[tuple[str, int, int, int], list[int | None]] = {}
    ours: dict[tuple[str, int, int, int], list[Outcome]] = {}
    for name, outcome in outcomes:
        setting = outcome.setting
        if is_by_outlines(outcome):
            ours.setdefault((name, setting.rate, setting.verify, setting.warm_percent), []).append(outcome)
        else:
            others.setdefault((name, setting.rate, setting.verify, setting.seed), []).append(outcome.time_to(99))
    for (name, rate, verify, warm), found in ours.items():
        times: list[tuple[int, int]] = []
        ours_not = others_not = 0
        for outcome in found:
            theirs = others.get((name, rate, verify, outcome.setting.seed), [])
            if len(theirs) < rivals:
                continue
            at, better = outcome.time_to(99), min((other for other in theirs if other is not None), default=None)
            if at is None:
                ours_not += 1
            elif better is None:
                others_not += 1
            else:
                times.append((at, better))
        if times or ours_not or others_not:
            yield {
                "block": name,
                "block_bytes": found[0].block_bytes,
                "rate_mbit_per_second": rate // BYTES_PER_MBIT or None,
                "verify_ms": verify // MILLISECOND,
                "warm_percent": warm,
                "networks": len(times),
                "not_reached": ours_not,
                "others_not_reached": others_not,
                "ms_to_99": median(at for at, _ in times) / MILLISECOND if times else None,
                "ms_of_the_better": median(other for _, other in times) / MILLISECOND if times else None,
                "of_the_better": median(at / other for at, other in times) if times else None,
            }


def comparison(row: dict[str, Any]) -> str:
    """One of these rows, for people."""
    width = f"{row['rate_mbit_per_second']} Mbit/s" if row["rate_mbit_per_second"] else "loopback"
    networks = "1 network" if row["networks"] == 1 else f"{row['networks']} networks"
    if row["not_reached"]:
        networks += f", {row['not_reached']} not reached"
    if row["others_not_reached"]:
        networks += f", {row['others_not_reached']} reached by channel 10 alone"
    what = f"{row['block'][:12]:12} {row['block_bytes']:7} B  {row['warm_percent']:3} % warm, {width}, verify {row['verify_ms']} ms, {networks}"
    if not row["networks"]:
        return f"{what}: nothing to compare"
    return f"{what}: ms to 99 % {row['ms_to_99']:.0f}, of the better of the others {row['of_the_better']:.2f}"


def _milliseconds(outcome: Outcome) -> list[int | None]:
    return [None if (at := outcome.time_to(share)) is None else round(at / MILLISECOND) for share in SHARES]
