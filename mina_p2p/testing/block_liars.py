"""Peers that lie about blocks, on channel 10: one class for each lie.

They are not among `mina_p2p.testing.liars.STRATEGIES`, from which older seeds draw;
`mina_p2p.testing.block_campaign` draws from `BLOCK_STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.blocks.split import (
    DIGEST_BYTES,
    SHORT_BYTES,
    Frame,
    Outline,
    Parts,
    full_outline,
    item_digest,
    rebuild_body,
    short_outline,
    split_block,
    split_body,
)
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    QUEUED_FRAME,
    AloneRest,
    BlockAnswer,
    BlockBodyItem,
    BlockChecking,
    BlockHash,
    BlockHeaderItem,
    BlockItems,
    BlockMessage,
    BlockNotHeld,
    BlockOutlineItem,
    BlockQueued,
    BodyRest,
    OutlineRest,
)
from mina_p2p.errors import DecodeError
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND
from mina_p2p.mina.hashes import body_reference_of_bytes, state_hash, state_hash_of_block
from mina_p2p.mina.raw import RawBlock
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.liars import LiesAboutBlocks, Strategy
from mina_p2p.testing.sim import SimNode
from mina_p2p.testing.stock import Stock, Tip
from mina_p2p.transport import ChannelsEffectfulAnswerSend, TransportEffect

ENDLESS: Final = 20_000
"""Ids of an outline that does not end: no body has so many items that are as large as these."""
HEADERS_AT_ONCE: Final = 5


class BlockStrategy(Strategy):
    """Tells the truth about blocks; the base of those that do not."""

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """Say something else than the reducer wants, where it is a message of channel 10."""
        channels = node.state.channels.table.get(effect.connection_id)
        connection = node.state.connections.get(effect.connection_id)
        if channels is None or channels.block is None or connection is None or len(effect.frames) != 1:
            return (effect,)
        try:
            message = BLOCK_MESSAGE.decode(effect.frames[0])
        except DecodeError:
            return (effect,)
        if not isinstance(message, BlockAnswer):
            return (effect,)
        lies = self.lies(message, connection.peer_id)
        return (effect.replace(frames=tuple(map(BLOCK_MESSAGE.encode, lies))),) if lies else ()

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """What is said instead of an answer; nothing for silence."""
        return (message,)

    def parts(self, tip: Tip) -> Parts:
        """What is in a block."""
        return split_body(split_block(tip.block)[1])

    def another(self, name: bytes) -> Parts:
        """Of some block that has items, and another state hash."""
        others = [tip for tip in self.stock.tips if tip.summary.state_hash != name]
        return self.parts(self.dice.choice(others))


class HeaderWithoutBody(BlockStrategy):
    """Announces blocks, and gives nothing of their bodies."""

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """Headers alone; silence to all else that was asked."""
        match message:
            case BlockHeaderItem(header=header):
                return (BlockHeaderItem(header, AloneRest()),)
            case BlockHash() | BlockChecking() | BlockNotHeld():
                return (message,)
            case _:
                return ()


class OutlineOfAnother(BlockStrategy):
    """Gives the outline of another block, and sticks to that: its items and its body too."""

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """The same other block for all that is asked of one."""
        match message:
            case BlockHeaderItem(header=header):
                name = state_hash(header.value.protocol_state)
                return (BlockHeaderItem(header, OutlineRest(short_outline(self._other(name), name, asker))),)
            case BlockOutlineItem():
                return (BlockOutlineItem(full_outline(self._other(b""))),)
            case BlockItems(items=items):
                other = self._other(b"").items
                return (BlockItems(tuple(other[: len(items)]) + items[len(other) :]),)
            case BlockBodyItem():
                return (BlockBodyItem(split_block(self.stock.tips[0].block)[1]),)
            case _:
                return (message,)

    def _other(self, name: bytes) -> Parts:
        first, second = self.stock.tips[1:3]
        return self.parts(second if first.summary.state_hash == name else first)


class WrongItem(BlockStrategy):
    """Gives the true outline, and one of the items wrong: noise, or another block's."""

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """All but one as asked for; sometimes one too few."""
        match message:
            case BlockItems(items=items) if items:
                at = self.dice.below(len(items))
                if self.dice.chance(10):
                    return (BlockItems(items[1:]),)
                wrong = self.dice.choice((self.dice.raw(30), *self.another(b"").items))
                return (BlockItems((*items[:at], wrong, *items[at + 1 :])),)
            case BlockHeaderItem(header=header, rest=BodyRest()):
                # What comes along whole can not be wrong in one item only: let it be asked for.
                return (BlockHeaderItem(header, AloneRest()),)
            case _:
                return (message,)


class WithholdsItems(BlockStrategy):
    """Gives outlines, and never an item nor a body."""

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """Silence to questions for items."""
        match message:
            case BlockItems() | BlockBodyItem():
                return ()
            case BlockHeaderItem(header=header, rest=BodyRest(body=body)):
                name = state_hash(header.value.protocol_state)
                return (BlockHeaderItem(header, OutlineRest(short_outline(split_body(body), name, asker))),)
            case _:
                return (message,)


class EndlessOutlines(BlockStrategy):
    """Gives outlines of far more items than a body holds: one item again and again, or such as do not exist."""

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """Another one each time."""
        match message:
            case BlockHeaderItem(header=header):
                name = state_hash(header.value.protocol_state)
                return (BlockHeaderItem(header, OutlineRest(self._endless(short_outline(self.another(b""), name, asker)))),)
            case BlockOutlineItem(outline=outline):
                return (BlockOutlineItem(self._endless(outline)),)
            case BlockItems(items=items) if items:
                return (BlockItems((max(self.another(b"").items, key=len, default=b""),) * len(items)),)
            case BlockBodyItem():
                return ()
            case _:
                return (message,)

    def _endless(self, outline: Outline) -> Outline:
        size = DIGEST_BYTES if outline.id_bytes == DIGEST_BYTES else SHORT_BYTES
        one = outline.id_string[:size] or self.dice.raw(size)
        ids = self.dice.raw(size) * ENDLESS if self.dice.chance(30) else one * ENDLESS
        return Outline(Frame(outline.frame.first.replace(works=ENDLESS, statuses=()), None), size, ids)


class ManyHeaders(LiesAboutBlocks):
    """Makes up better blocks all the time, and sends each header several times and to whoever permitted a hash."""

    period = 2 * SECOND

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """Repeat headers where one was permitted, now and then."""
        is_header = len(effect.frames) == 1 and len(effect.frames[0]) > 5_000
        return (effect.replace(frames=effect.frames * HEADERS_AT_ONCE),) if is_header and self.dice.chance(20) else (effect,)


class ChecksForEver(BlockStrategy):
    """Says of every block that it is checking it, and never anything more."""

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """No answer to a question, but for a few that it declines."""
        match message:
            case BlockHash(state_hash=name) | BlockChecking(state_hash=name):
                return (BlockChecking(self.dice.raw(32) if self.dice.chance(20) else name),)
            case BlockHeaderItem(header=header) if self.dice.chance(10):
                return (BlockChecking(state_hash(header.value.protocol_state)),)
            case _:
                return (BlockNotHeld(),) if self.dice.chance(20) else ()


class QueuesForEver(BlockStrategy):
    """Says to whoever asks for a body that others come first, and never anything more."""

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """A place in a queue does not end an answer."""
        for said in super().answer(node, effect):
            is_queued = isinstance(said, ChannelsEffectfulAnswerSend) and said.frames == (QUEUED_FRAME,)
            yield effect.replace(frames=(QUEUED_FRAME,), ends=False) if is_queued else said

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """Headers alone, so that bodies are asked for; of an outline it has nothing to say."""
        match message:
            case BlockHeaderItem(header=header):
                return (BlockHeaderItem(header, AloneRest()),)
            case BlockBodyItem():
                return (BlockQueued(),)
            case BlockOutlineItem() | BlockItems():
                return (BlockNotHeld(),)
            case _:
                return (message,)


class PromisesNoBody(BlockStrategy):
    """Makes up headers whose body reference is that of bytes which are no body, and gives these bytes."""

    period = 10 * SECOND

    def __init__(self, dice: Dice, stock: Stock) -> None:
        super().__init__(dice, stock)
        genuine = self.parts(stock.tips[-1])
        noise = dice.raw(40)
        items = (noise, *genuine.items[1:])
        self._noise = {genuine.items[0]: noise}
        self._false = Parts(genuine.frame, items, tuple(map(item_digest, items)))
        self._body = rebuild_body(genuine.frame, items)

    def woken(self, node: SimNode) -> None:
        """A block of its own, above all others; what its reducer holds is the genuine body."""
        block = self.stock.tips[-1].block.value
        state = block.header.protocol_state
        consensus = state.body.consensus_state.replace(blockchain_length=10_000_000 + self.far_number())
        chain = state.body.blockchain_state.replace(body_reference=body_reference_of_bytes(self._body))
        made = state.replace(body=state.body.replace(consensus_state=consensus, blockchain_state=chain))
        whole = RawBlock.of(block.replace(header=block.header.replace(protocol_state=made)))
        node.dispatch(BestTipSet(whole, state_hash_of_block(whole), is_produced=True))

    def lies(self, message: BlockAnswer, asker: PeerId) -> tuple[BlockMessage, ...]:
        """Outline, items and body of what the header promises."""
        match message:
            case BlockHeaderItem(header=header):
                name = state_hash(header.value.protocol_state)
                return (BlockHeaderItem(header, OutlineRest(short_outline(self._false, name, asker))),)
            case BlockOutlineItem():
                return (BlockOutlineItem(full_outline(self._false)),)
            case BlockItems(items=items):
                return (BlockItems(tuple(self._noise.get(item, item) for item in items)),)
            case BlockBodyItem():
                return (BlockBodyItem(self._body),)
            case _:
                return (message,)


BLOCK_STRATEGIES: Final[tuple[type[Strategy], ...]] = (
    HeaderWithoutBody,
    OutlineOfAnother,
    WrongItem,
    WithholdsItems,
    EndlessOutlines,
    ManyHeaders,
    ChecksForEver,
    QueuesForEver,
    PromisesNoBody,
    LiesAboutBlocks,
)
