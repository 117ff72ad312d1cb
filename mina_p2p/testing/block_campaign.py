"""Simulated networks whose blocks have items, so that channel 10 has something to do: `mina_p2p.testing.campaign` with other blocks and liars.

There blocks are empty and travel whole with their headers. Here each has transactions and snark works, some of which the
pools spread and some of which its producer alone knows; what may come along with a header is drawn for each member, and so are other settings of
channel 10. Blocks come in pairs that compete, from two members at once, while things go wrong.

**Every winning block**: in bad weather a block may be beaten before it has reached everybody; whoever has a better
one need not have it, so what is asked then is that in the end all honest nodes follow the best block that any of them has. After the faults, with
the liars still there, `FINAL_BLOCKS` more are given to members one after the other, each better than the one before: every honest node
must have each of them within `mina_p2p.testing.course.SOON`, and only then comes the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property, partial
from typing import Any, Final

from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.ids import MILLISECOND, Timestamp
from mina_p2p.mina.block import Block
from mina_p2p.mina.hashes import summary_of
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.mina.snark_work import SnarkWork
from mina_p2p.testing.block_liars import BLOCK_STRATEGIES
from mina_p2p.testing.campaign import Run
from mina_p2p.testing.course import Options, Outcome, Phase
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.health import missing
from mina_p2p.testing.liars import Strategy
from mina_p2p.testing.stock import Stock, Tip
from mina_p2p.testing.world import World

ROUNDS: Final = 4
"""Pairs of blocks that compete."""
FINAL_BLOCKS: Final = 3
COMMANDS_MAX: Final = 6
SEND_HIGH_BYTES: Final = 1 << 20
"""As over QUIC: more than an answer with a body has here."""
PAIR_NODES_MIN: Final = 8
"""Networks of so many nodes have room for two liars."""
TOGETHER: Final = 300 * MILLISECOND
"""At most so much later than its rival the second block of a pair is given to a member."""

HEAD_START: Final = 300 * MILLISECOND
"""Of liars, who hear of each block earlier than anybody else."""


class BlockStock(Stock):
    """Blocks with items, some of them those of the pools."""

    @cached_property
    def tips(self) -> tuple[Tip, ...]:
        """A block; pairs that follow the first of the pair before; then one after the other."""
        root = self._generator.genesis()
        chain: list[Block] = [root]
        best = root
        for _ in range(ROUNDS):
            chain += (self._block(best, 1), self._block(best, 2))
            best = chain[-2]
        for _ in range(FINAL_BLOCKS):
            best = self._block(best, 2)
            chain.append(best)
        return tuple(Tip(RawBlock.of(b), summary_of(b), b.header.protocol_state.body.consensus_state) for b in chain)

    def _block(self, parent: Block, slots: int) -> Block:
        generator = self._generator
        spread = [RawUserCommand(piece.body) for piece in self.transactions if generator.below(3) == 0][:COMMANDS_MAX]
        own = [generator.user_command() for _ in range(1 + generator.below(COMMANDS_MAX))]
        snarks = [RawSnark(piece.body).value for piece in self.snarks if generator.below(4) == 0][:1]
        works = [SnarkWork(snark.fee, snark.proofs, snark.snarker) for snark in snarks]
        if generator.below(3) == 0:
            works.append(generator.snark_work(two=False))
        return generator.block(parent, slots=slots, commands=(*spread, *own), works=tuple(works))


@cache
def block_stock(transactions: int) -> BlockStock:
    """The items and blocks of every such simulation with so many transactions; made once."""
    return BlockStock(transactions)


class BlockRun(Run):
    """One run of nodes to which blocks matter."""

    def __init__(self, options: Options, *, strategies: Sequence[type[Strategy]] = BLOCK_STRATEGIES, **settings: Any) -> None:
        """Make the network and start its nodes.

        :param strategies: whom the liars are drawn from.
        :param settings: further arguments of `mina_p2p.testing.campaign.Run`.
        """
        self._finals: list[Tip] = []
        self._coming = 0
        super().__init__(options, strategies=strategies, **settings)

    def stock(self) -> Stock:
        """Blocks with items."""
        return block_stock(self.options.transactions)

    def make_world(self) -> World:
        """The same members, each with settings of channel 10 of its own."""
        world = super().make_world()
        world.simulation.network.send_high_bytes = SEND_HIGH_BYTES
        dice = Dice(self.options.seed, "blocks")
        for member in world.members:
            member.blocks = drawn_config(dice)
        if dice.chance(50):
            # Whole blocks by the other channel are soon everywhere, and hide what goes wrong on this one.
            for member in world.members:
                member.is_header_first = True
        return world

    def liars_max(self) -> int:
        """In small networks sometimes two, whose lies may help each other."""
        return max(super().liars_max(), Dice(self.options.seed, "liars").between(1, 2) if self.options.nodes >= PAIR_NODES_MIN else 1)

    def plan_deals(self, begin: int, end: int) -> None:
        """Items as in other runs; blocks in pairs, in the order of the chain."""
        world, dice = self.world, self.dice
        *pieces, self._last_piece = dice.sample(world.stock.pieces, len(world.stock.pieces))
        for piece in pieces:
            world.simulation.after(dice.between(begin, end), partial(world.deal, piece))
        tips = world.stock.tips
        root, *pairs = tips[:-FINAL_BLOCKS]
        self._finals = list(tips[-FINAL_BLOCKS:])
        world.simulation.after(begin, partial(self._deal_tip, root))
        for round_number in range(ROUNDS):
            at = begin + (end - begin) * (round_number + 1) // (ROUNDS + 1)
            first, second = pairs[2 * round_number : 2 * round_number + 2]
            world.simulation.after(at, partial(self._deal_tip, first))
            world.simulation.after(at + dice.below(TOGETHER), partial(self._deal_tip, second))

    def missing(self) -> Iterator[str]:
        """Members, connections and tips; pools let go of what blocks hold, at each member's own time."""
        if self._coming:
            yield "a block is known to liars only"
        yield from missing(self.world, pools=False)

    def deal_last(self) -> None:
        """The next of the last blocks, and an item with the first of them."""
        if len(self._finals) == FINAL_BLOCKS:
            self.world.deal(self._last_piece)
        self._deal_tip(self._finals.pop(0))

    def _deal_tip(self, tip: Tip) -> None:
        """Give a block to an honest member, and a little earlier to those who lie: whoever lies about a block that others have already is not asked."""
        for member in self.world.members:
            if not member.is_honest and member.node is not None and member.software is not None:
                member.software.adopt(member.node, tip)
        self._coming += 1
        self.world.simulation.after(self.dice.below(HEAD_START), partial(self._deal_to_honest, tip))

    def _deal_to_honest(self, tip: Tip) -> None:
        self._coming -= 1
        self.world.deal(tip)

    def _succeed(self, now: Timestamp) -> None:
        if self.phase is Phase.FINALE and self._finals:
            self.phase = Phase.HEALING  # it was well again: so it begins anew
        super()._succeed(now)


def drawn_config(dice: Dice) -> BlocksConfig:
    """Settings of one member, with which bodies come along seldom, sometimes or always."""
    return BlocksConfig(
        body_along_max=dice.choice((0, 512)),
        link_bytes_per_second=dice.choice((0, 1_000_000, 12_500_000)),
        warmth_at_start=dice.choice((0, 50, 100)),
        cold_percent=dice.choice((0, 30)),
        header_permissions_max=dice.choice((1, 3)),
        parallel_max=dice.choice((1, 4)),
        announces_while_checking=dice.chance(80),
        held_max=dice.choice((3, 4)),
    )


def simulate_blocks(options: Options, *, progress: Callable[[BlockRun], None] | None = None, **settings: Any) -> Outcome:
    """Run one seed to its end.

    :param progress: called from time to time.
    :param settings: further arguments of `BlockRun`.
    """
    run = BlockRun(options, **settings)
    while run.advance():
        if progress is not None:
            progress(run)
    return run.outcome()
