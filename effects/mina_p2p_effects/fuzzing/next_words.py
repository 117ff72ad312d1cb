"""What a peer that keeps to the protocol says next on channels 9 and 10: messages drawn from their shapes are never about anything."""

from __future__ import annotations

from typing import Any, Final

from mina_p2p.blocks.split import full_outline, short_outline, split_block, split_body
from mina_p2p.blocks.state import Kind
from mina_p2p.channels.address_gossip import messages as addresses
from mina_p2p.channels.address_gossip.state import Granted
from mina_p2p.channels.block import messages as blocks
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, StreamId
from mina_p2p.mina.raw import RawBlock
from mina_p2p.state import P2pState
from mina_p2p.testing.catalog import OTHERS, catalog, state_hash
from mina_p2p.testing.dice import Dice
from mina_p2p_effects.fuzzing.samples import a_dial_address

SIGNATURE: Final = bytes(addresses.SIGNATURE_BYTES)
"""Whether it is good is the runtime's answer, which is drawn, too."""


def next_word(channel: ChannelId, state: P2pState, connection_id: ConnectionId, stream: StreamId, dice: Dice) -> Any:
    """A message for a stream: the answer to what we asked there, or a request where the peer opens it; ``None`` for other channels."""
    if channel == ChannelId.ADDRESS_GOSSIP:
        return _of_addresses(state, connection_id, stream, dice)
    return _of_blocks(state, connection_id, stream, dice) if channel == ChannelId.BLOCK else None


# --- channel 9 --------------------------------------------------------------------------------


def _of_addresses(state: P2pState, connection_id: ConnectionId, stream: StreamId, dice: Dice) -> addresses.AddressMessage | None:
    link = state.address_gossip.links.get(connection_id)
    if link is None:
        return None
    if isinstance(link.grant, Granted) and link.grant.stream == stream:
        return addresses.AddressAdverts(tuple({_a_key(state, dice): None for _ in range(1 + dice.below(4))}))
    if link.fetch is not None and link.fetch.stream == stream:
        return addresses.AddressRecords(tuple(_a_record(addresses.key_of_item(item), dice) for item in link.fetch.items))
    if link.sent and dice.below(2):
        named = tuple(addresses.key_of_item(item) for item in link.sent[-addresses.FETCH_MAX :])
        return addresses.AddressGetRecords(named[dice.below(len(named)) :])
    return addresses.AddressGetNext(1 + dice.below(addresses.ADVERTS_MAX))


def _a_key(state: P2pState, dice: Dice) -> addresses.AddressKey:
    """Somebody's record of about now."""
    now = state.clock.now // SECOND
    whose = dice.choice((*OTHERS, state.config.peer_id))
    return addresses.AddressKey(bytes(whose), now + dice.choice((-2_000, -30, -1, 0, 0, 1, 60, 500)))


def _a_record(key: addresses.AddressKey, dice: Dice) -> addresses.AddressRecord | None:
    if dice.below(6) == 0:
        return None
    places = tuple(addresses.to_place(a_dial_address(dice)) for _ in range(dice.below(3)))
    version = addresses.RECORD_VERSION if dice.below(8) else dice.below(3)
    return addresses.AddressRecord(version, key.public_key, key.issued_at, dice.choice((0, 60, 900, 3_600, 4_000)), places, SIGNATURE)


# --- channel 10 -------------------------------------------------------------------------------


def _of_blocks(state: P2pState, connection_id: ConnectionId, stream: StreamId, dice: Dice) -> blocks.BlockMessage | None:
    channels = state.channels.table.get(connection_id)
    if channels is None or channels.block is None:
        return None
    ticket = channels.block.ticket_of(stream)
    if ticket is None:
        return _a_request(dice)
    candidate = state.blocks.candidates.get(state.blocks.tickets.get(ticket, 0))
    kind = None if candidate is None else next((question.kind for question in candidate.questions if question.ticket == ticket), None)
    hashes = [] if candidate is None else [block for block in catalog().blocks if state_hash(block) == candidate.state_hash]
    return _an_answer(kind, dice.choice(hashes or catalog().blocks), state, dice)


def _a_request(dice: Dice) -> blocks.BlockRequest:
    wanted = state_hash(dice.choice(catalog().blocks)) if dice.below(8) else dice.raw(32)
    requests: tuple[blocks.BlockRequest, ...] = (
        blocks.BlockGetNext(dice.choice(tuple(blocks.Wants)), dice.choice((0, 200, 1 << 20))),
        blocks.BlockGetHeader(wanted, dice.choice((0, 200, 1 << 20))),
        blocks.BlockGetOutline(wanted),
        blocks.BlockGetItems(wanted, (0, 1)),
        blocks.BlockGetBody(wanted),
    )
    return dice.choice(requests)


def _an_answer(kind: Kind | None, block: RawBlock, state: P2pState, dice: Dice) -> blocks.BlockAnswer:
    """Of the kind that was asked for; an announcement where that was permitted."""
    header, body = split_block(bytes(block))
    if dice.below(8) == 0:
        return blocks.BlockNotHeld()
    match kind:
        case Kind.OUTLINE:
            return blocks.BlockOutlineItem(full_outline(split_body(body)))
        case Kind.ITEMS:
            return blocks.BlockItems(tuple(item for item in split_body(body).items if dice.below(4)))
        case Kind.BODY:
            return blocks.BlockBodyItem(body)
        case _:
            outline = short_outline(split_body(body), state_hash(block), bytes(state.config.peer_id))
            rests: tuple[blocks.AloneRest | blocks.OutlineRest | blocks.BodyRest, ...] = (
                blocks.AloneRest(),
                blocks.OutlineRest(outline),
                blocks.BodyRest(body),
            )
            if dice.below(3):
                return blocks.BlockHeaderItem(header, dice.choice(rests))
            others: tuple[blocks.BlockAnswer, ...] = (
                blocks.BlockHash(state_hash(block)),
                blocks.BlockChecking(state_hash(block)),
                blocks.BlockQueued(),
            )
            return dice.choice(others)
