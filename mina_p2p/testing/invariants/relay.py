"""Invariants of what waits between push and pull."""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.relay.state import BY_LIBP2P, Message
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ


def relay_violations(state: P2pState) -> Iterator[str]:
    """What is wrong in the relay of a node."""
    relay, config = state.relay, state.config.relay
    yield from over("relay.messages", len(relay.messages), config.messages_max)
    yield from over("relay.remembered", len(relay.remembered), config.remembered_max)
    yield from over("relay.serving", len(relay.serving), config.questions_max)
    if state.network is None and (len(relay.messages) or len(relay.asked) or len(relay.serving)):
        yield "relay: something waits, and this node takes no part in libp2p's network"
    if BY_LIBP2P in state.connections.table:
        yield "relay: a pull connection has the number that stands for libp2p"
    for number, message in relay.messages.items():
        yield from _message_violations(f"relay.messages[{number}]", message, config.items_per_message_max)
    waiting = {verdict_id: list(numbers) for verdict_id, numbers in relay.by_item.items()}
    derived: dict[int, list[int]] = {}
    for number, message in relay.messages.items():
        for verdict_id in message.open:
            derived.setdefault(verdict_id, []).append(number)
    yield from differ("relay.by_item", {key: sorted(numbers) for key, numbers in waiting.items()}, dict(sorted(derived.items())))
    of_messages = [(message.deadline, 2 * number) for number, message in relay.messages.items()]
    of_questions = [(serving.deadline, 2 * number + 1) for number, serving in relay.serving.items()]
    yield from waits_differ("relay.deadlines", relay.deadlines, [*of_messages, *of_questions])


def _message_violations(at: str, message: Message, items_max: int) -> Iterator[str]:
    yield from over(f"{at}: items", len(message.items), items_max)
    yield from over(f"{at}: verdicts", len(message.open) + message.accepted_count, items_max)
    if message.left:
        yield f"{at}.left: {message.left} items of which the pools have not said anything, between two inputs"
    if message.is_block == bool(message.open or message.accepted_count):
        yield f"{at}: a block has no items, and anything else waits for some"
    yield from differ(f"{at}.open", len(message.open), len(set(message.open)))
