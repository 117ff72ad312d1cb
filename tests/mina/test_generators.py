"""Generated chains are linked, sized and hashed like real ones."""

from __future__ import annotations

from mina_p2p.mina import hashes
from mina_p2p.mina.block import Block
from mina_p2p.mina.chain_selection import Rule, select_chain
from mina_p2p.mina.network import DEVNET, MAINNET
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.mina.snark_work import Snark, SnarkWork
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.wire import codec, encode


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same chain, another one another."""
    assert MinaGenerator(1).chain(3) == MinaGenerator(1).chain(3)
    assert MinaGenerator(1).chain(1) != MinaGenerator(2).chain(1)
    assert MinaGenerator(-1).raw(8) != MinaGenerator(1).raw(8)


def test_blocks_are_linked_and_consistent() -> None:
    """Parent hash, height, slots, body reference and delta proof follow as in the network."""
    chain = MinaGenerator(7).chain(6)
    summaries = [hashes.summary_of(block) for block in chain]
    for before, after, block in zip(summaries, summaries[1:], chain[1:], strict=False):
        state = block.header.protocol_state
        assert after.previous_state_hash == before.state_hash
        assert after.height == before.height + 1
        assert after.global_slot > before.global_slot
        assert hashes.body_reference(block.body) == state.body.blockchain_state.body_reference
        assert block.header.delta_block_chain_proof == (before.state_hash, ())
        assert state.body.blockchain_state.timestamp == MAINNET.genesis_timestamp_ms + after.global_slot * MAINNET.slot_ms
        assert max(state.body.consensus_state.sub_window_densities) <= MAINNET.slots_per_sub_window
    first = chain[0].header.protocol_state
    assert first.previous_state_hash == MAINNET.genesis_state_hash
    longer, shorter = (block.header.protocol_state.body.consensus_state for block in (chain[-1], chain[-2]))
    assert select_chain(shorter, longer, summaries[-2].state_hash, summaries[-1].state_hash, Rule.OCAML).take


def test_values_travel() -> None:
    """Everything that is made has wire bytes, of the sizes that real values have."""
    generator = MinaGenerator(3)
    block = generator.block(generator.genesis(), commands=(generator.user_command(),), works=(generator.snark_work(two=False),))
    raw = RawBlock.of(block)
    assert codec(Block).decode(bytes(raw)) == block
    assert len(generator.proof()) in range(11_000, 11_300)
    assert len(encode(generator.snark_work())) in range(22_000, 24_500)
    assert len(RawUserCommand.of(generator.payment())) in range(200, 235)
    assert len(RawUserCommand.of(generator.zkapp_command(proofs=1))) in range(11_500, 14_700)
    snark = generator.snark()
    assert hashes.snark_job_id_of(RawSnark.of(snark)) == hashes.job_id(snark.proofs)
    assert len(hashes.transaction_hash(generator.user_command())) == 32
    assert codec(Snark).decode(encode(snark)) == snark
    assert codec(SnarkWork).decode(encode(generator.snark_work())).fee >= 0


def test_windows_go_on_over_gaps() -> None:
    """Empty sub-windows count nothing, and long gaps clear the whole window."""
    generator = MinaGenerator(4, DEVNET)
    start = generator.genesis()
    near = generator.block(start, slots=7, commands=())
    far = generator.block(near, slots=700, commands=())
    assert near.header.protocol_state.body.consensus_state.sub_window_densities[:2] == (1, 1)
    assert sum(far.header.protocol_state.body.consensus_state.sub_window_densities) == 1
    late = generator.block(far, slots=3000, commands=())
    assert late.header.protocol_state.body.consensus_state.min_window_density == 0
    assert late.header.protocol_state.body.genesis_state_hash == DEVNET.genesis_state_hash


def test_epochs_hand_on_their_data() -> None:
    """The next epoch's data become the staking data when the epoch changes."""
    generator = MinaGenerator(5)
    before = generator.genesis()
    after = generator.block(before, slots=MAINNET.slots_per_epoch, commands=())
    old, new = (block.header.protocol_state.body.consensus_state for block in (before, after))
    assert (old.epoch_count, new.epoch_count) == (0, 1)
    assert new.staking_epoch_data == old.next_epoch_data
