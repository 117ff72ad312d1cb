"""Blocks, transactions and snark works from a seed.

What is made here has the network's types, sizes and links: a block names its
parent's state hash, its header promises its body, slots and windows go on, every
hash is the one that the network would compute. It is not valid: signatures and
proofs are random bytes of the right layout, and ledger hashes belong to no ledger.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

from mina_p2p.mina import hashes
from mina_p2p.mina.basics import (
    CompressedPublicKey,
    FeeExcess,
    ProtocolVersion,
    Sign,
    Signature,
    SignedAmount,
    SignedFee,
    TokenFeeExcess,
)
from mina_p2p.mina.block import Block, BlockBody, BlockHeader, CoinbaseOne, Diff, PreDiffTwo, StagedLedgerDiff
from mina_p2p.mina.block_checks import protocol_constants
from mina_p2p.mina.chain_selection import Rule, projected_density
from mina_p2p.mina.commands import Payment, SignedCommand, SignedCommandCommon, SignedCommandPayload, UserCommand, UserCommandWithStatus
from mina_p2p.mina.field import FP_MODULUS
from mina_p2p.mina.network import MAINNET, NetworkConfig
from mina_p2p.mina.proof import Proof, RawProof
from mina_p2p.mina.protocol_state import (
    BlockchainState,
    ConsensusGlobalSlot,
    ConsensusState,
    EpochData,
    EpochLedger,
    LedgerProofStatement,
    LedgerProofStatementWithSok,
    LocalState,
    NonSnarkStagedLedgerHash,
    PendingCoinbaseStack,
    PendingCoinbaseStateStack,
    ProtocolState,
    ProtocolStateBody,
    Registers,
    StagedLedgerHash,
)
from mina_p2p.mina.raw import RawUserCommand
from mina_p2p.mina.snark_work import LedgerProof, OneProof, RawSnarkWork, Snark, SnarkWork, TwoProofs
from mina_p2p.mina.transaction_status import Applied
from mina_p2p.mina.zkapp import (
    AccountPrecondition,
    AccountUpdate,
    AccountUpdateBody,
    CallForestItem,
    CallTree,
    ControlProof,
    ControlSignature,
    EpochDataPrecondition,
    EpochLedgerPrecondition,
    FeePayer,
    FeePayerBody,
    MayUseToken,
    NetworkPrecondition,
    Preconditions,
    ProofKind,
    SignatureKind,
    Update,
    ZkappCommand,
)
from mina_p2p.wire.shapes import (
    BoolShape,
    ByteShape,
    FixedShape,
    IntShape,
    ListShape,
    OptionShape,
    PaddedShape,
    RecordShape,
    Shape,
    TupleShape,
    VariantShape,
    fields_of,
)

_ZERO: Final = bytes(32)
_DEFAULT_TOKEN: Final = (1).to_bytes(32, "little")
_MEMO_EMPTY: Final = b"\x01" + bytes(33)
_SLOT_NEVER: Final = 0xFFFF_FFFF
_NANOMINA: Final = 1_000_000_000


class MinaGenerator:
    """Makes values of Mina's types; the same seed and the same calls make the same values.

    :param seed: any integer.
    :param network: whose constants the blocks carry.
    """

    def __init__(self, seed: int, network: NetworkConfig = MAINNET) -> None:
        self._key = seed.to_bytes((seed.bit_length() + 15) // 8, "little", signed=True)[:64]
        self._drawn = 0
        self.network = network

    def raw(self, size: int) -> bytes:
        """``size`` bytes."""
        made = b""
        while len(made) < size:
            made += blake2b(self._drawn.to_bytes(8, "little"), key=self._key).digest()
            self._drawn += 1
        return made[:size]

    def below(self, bound: int) -> int:
        """An integer from 0 to ``bound - 1``."""
        return int.from_bytes(self.raw(8), "little") % bound

    def field(self) -> bytes:
        """A field element."""
        return (int.from_bytes(self.raw(32), "little") % FP_MODULUS).to_bytes(32, "little")

    def public_key(self) -> CompressedPublicKey:
        """An account's key."""
        return CompressedPublicKey(self.field(), is_odd=bool(self.below(2)))

    def signature(self) -> Signature:
        """A signature of nothing."""
        return Signature(self.field(), self.field())

    def proof(self) -> RawProof:
        """A proof of nothing, with the layout of real ones, about 11 kB."""
        return RawProof.of(self._of_shape(RecordShape(Proof)))

    def payment(self, *, sender: CompressedPublicKey | None = None, nonce: int | None = None) -> SignedCommand:
        """A payment."""
        payer = sender or self.public_key()
        fee = 1_000_000 + self.below(100) * 1_000_000
        sequence = self.below(100_000) if nonce is None else nonce
        common = SignedCommandCommon(fee, payer, sequence, _SLOT_NEVER, _MEMO_EMPTY)
        body = Payment(self.public_key(), self.below(1000 * _NANOMINA))
        return SignedCommand(SignedCommandPayload(common, body), payer, self.signature())

    def zkapp_command(self, *, updates: int = 2, proofs: int = 0) -> ZkappCommand:
        """A zkApp command of so many account updates, the first ``proofs`` of them with a proof."""
        body = FeePayerBody(self.public_key(), 100_000_000, None, self.below(100_000))
        forest = tuple(CallForestItem(CallTree(self._account_update(proof=i < proofs), None, ())) for i in range(updates))
        return ZkappCommand(FeePayer(body, self.signature()), forest, _MEMO_EMPTY)

    def user_command(self) -> RawUserCommand:
        """A transaction as it travels; one in eight is a zkApp command."""
        command: UserCommand = self.zkapp_command() if self.below(8) == 0 else self.payment()
        return RawUserCommand.of(command)

    def snark_work(self, *, two: bool = True) -> SnarkWork:
        """A snark work as blocks hold it, 12 or 24 kB."""
        proofs = TwoProofs((self._ledger_proof(), self._ledger_proof())) if two else OneProof(self._ledger_proof())
        return SnarkWork(self.below(20) * 1_000_000, proofs, self.public_key())

    def snark(self, *, two: bool = False) -> Snark:
        """The same as the pull protocol's RPC writes it."""
        work = self.snark_work(two=two)
        return Snark(work.prover, work.fee, work.proofs)

    def genesis(self) -> Block:
        """The first block of a chain, in the first slot."""
        return self._block(None, 0, self._body((), ()))

    def block(
        self,
        parent: Block,
        *,
        slots: int = 1,
        commands: tuple[RawUserCommand, ...] | None = None,
        works: tuple[SnarkWork, ...] = (),
    ) -> Block:
        """A block after ``parent``.

        :param slots: how many slots later, at least 1.
        :param commands: its transactions; a few drawn ones where left out.
        """
        chosen = tuple(self.user_command() for _ in range(self.below(8))) if commands is None else commands
        return self._block(parent, slots, self._body(chosen, works))

    def chain(self, length: int) -> tuple[Block, ...]:
        """A genesis block and ``length - 1`` blocks after it."""
        blocks = [self.genesis()]
        while len(blocks) < length:
            blocks.append(self.block(blocks[-1], slots=1 + self.below(3)))
        return tuple(blocks)

    def _of_shape(self, shape: Shape) -> Any:
        """A value as it would stand in a proof: optional parts missing, most lists of one item."""
        match shape:
            case FixedShape():
                return self.field()
            case IntShape():
                return int.from_bytes(self.raw(8), "little")
            case ByteShape():
                return 15
            case BoolShape():
                return False
            case VariantShape(constructors=constructors):
                return constructors[-1].member
            case RecordShape(cls=cls):
                return cls(*[self._of_shape(field) for _, field in fields_of(cls)])
            case TupleShape(items=items):
                return tuple(self._of_shape(item) for item in items)
            case PaddedShape(inner=inner, size=size):
                return tuple(self._of_shape(inner) for _ in range(size))
            case ListShape(inner=inner, limit=None):
                return tuple(self._of_shape(inner) for _ in range(2))
            case ListShape(inner=inner):
                return tuple(self._of_shape(inner) for _ in range(15 if isinstance(inner, TupleShape) else 1))
            case OptionShape() | _:
                return None

    def _account_update(self, *, proof: bool) -> AccountUpdate:
        kept = Update((None,) * 8, None, None, None, None, None, None, None)
        epoch = EpochDataPrecondition(EpochLedgerPrecondition(None, None), None, None, None, None)
        preconditions = Preconditions(
            NetworkPrecondition(None, None, None, None, None, epoch, epoch),
            AccountPrecondition(None, None, None, None, (None,) * 8, None, None, None),
            None,
        )
        body = AccountUpdateBody(
            public_key=self.public_key(),
            token_id=_DEFAULT_TOKEN,
            update=kept.replace(app_state=(self.field(),) + (None,) * 7) if proof else kept,
            balance_change=SignedAmount(self.below(_NANOMINA), Sign(self.below(2))),
            increment_nonce=False,
            events=((self.field(),),) if proof else (),
            actions=(),
            call_data=_ZERO,
            preconditions=preconditions,
            use_full_commitment=True,
            implicit_account_creation_fee=False,
            may_use_token=MayUseToken.NO,
            authorization_kind=ProofKind(self.field()) if proof else SignatureKind(),
        )
        return AccountUpdate(body, ControlProof(self.proof()) if proof else ControlSignature(self.signature()))

    def _ledger_proof(self) -> LedgerProof:
        statement = self._statement()
        parts = (
            statement.source,
            statement.target,
            statement.connecting_ledger_left,
            statement.connecting_ledger_right,
            statement.supply_increase,
            statement.fee_excess,
        )
        return LedgerProof(LedgerProofStatementWithSok(*parts, self.raw(32)), self.proof())

    def _statement(self) -> LedgerProofStatement:
        nothing = TokenFeeExcess(_DEFAULT_TOKEN, SignedFee(0, Sign.POS))
        supply = SignedAmount(self.below(720 * _NANOMINA), Sign.POS)
        return LedgerProofStatement(self._registers(), self._registers(), _ZERO, _ZERO, supply, FeeExcess(nothing, nothing))

    def _registers(self) -> Registers:
        nothing = SignedFee(0, Sign.POS)
        local = LocalState(self.field(), _ZERO, _ZERO, _ZERO, nothing, nothing, _ZERO, True, 0, (), True)
        stack = PendingCoinbaseStack(self.field(), PendingCoinbaseStateStack(self.field(), self.field()))
        return Registers(self.field(), self.field(), stack, local)

    def _body(self, commands: tuple[RawUserCommand, ...], works: tuple[SnarkWork, ...]) -> BlockBody:
        first = PreDiffTwo(
            tuple(map(RawSnarkWork.of, works)),
            tuple(UserCommandWithStatus(command, Applied()) for command in commands),
            CoinbaseOne(None),
            (Applied(), Applied()),
        )
        return BlockBody(StagedLedgerDiff(Diff(first, None)))

    def _block(self, parent: Block | None, slots: int, body: BlockBody) -> Block:
        before = None if parent is None else parent.header.protocol_state
        previous = self.network.genesis_state_hash if before is None else hashes.state_hash(before)
        consensus = self._consensus(None if before is None else before.body.consensus_state, slots)
        staged = StagedLedgerHash(NonSnarkStagedLedgerHash(self.field(), self.raw(32), self.raw(32)), self.field())
        slot = consensus.curr_global_slot_since_hard_fork.slot_number
        chain = BlockchainState(
            staged_ledger_hash=staged,
            genesis_ledger_hash=_ZERO if before is None else before.body.blockchain_state.genesis_ledger_hash,
            ledger_proof_statement=self._statement(),
            timestamp=self.network.genesis_timestamp_ms + slot * self.network.slot_ms,
            body_reference=hashes.body_reference(body),
        )
        constants = protocol_constants(self.network)
        state = ProtocolState(previous, ProtocolStateBody(self.network.genesis_state_hash, chain, consensus, constants))
        version = ProtocolVersion(self.network.header_transaction_version, self.network.header_network_version, 0)
        return Block(BlockHeader(state, self.proof(), (previous, ()), version, None), body)

    def _consensus(self, before: ConsensusState | None, slots: int) -> ConsensusState:
        network = self.network
        slot = 0 if before is None else before.curr_global_slot_since_hard_fork.slot_number + slots
        epoch = slot // network.slots_per_epoch
        producer = self.public_key()
        length = network.fork_blockchain_length + 1 if before is None else before.blockchain_length + 1
        return ConsensusState(
            blockchain_length=length,
            epoch_count=epoch,
            min_window_density=network.slots_per_window if before is None else projected_density(before, slot, Rule.OCAML, network),
            sub_window_densities=self._densities(before, slot),
            last_vrf_output=self.raw(31) + b"\x00",
            total_currency=(1_000_000_000 * _NANOMINA if before is None else before.total_currency) + 720 * _NANOMINA,
            curr_global_slot_since_hard_fork=ConsensusGlobalSlot(slot, network.slots_per_epoch),
            global_slot_since_genesis=network.slot_since_genesis(slot),
            staking_epoch_data=self._epoch(before, epoch, coming=False),
            next_epoch_data=self._epoch(before, epoch, coming=True),
            has_ancestor_in_same_checkpoint_window=before is not None,
            block_stake_winner=producer,
            block_creator=producer,
            coinbase_receiver=producer,
            supercharge_coinbase=True,
        )

    def _densities(self, before: ConsensusState | None, slot: int) -> tuple[int, ...]:
        per_window, per_sub_window = self.network.sub_windows_per_window, self.network.slots_per_sub_window
        if before is None:
            return (1,) + (per_sub_window,) * (per_window - 1)
        made = list(before.sub_window_densities)
        old, new = before.curr_global_slot_since_hard_fork.slot_number // per_sub_window, slot // per_sub_window
        for index in range(old + 1, min(new, old + per_window) + 1):
            made[index % per_window] = 0
        made[new % per_window] += 1
        return tuple(made)

    def _epoch(self, before: ConsensusState | None, epoch: int, *, coming: bool) -> EpochData:
        if before is None:
            return EpochData(EpochLedger(self.field(), 1_000_000_000 * _NANOMINA), self.field(), _ZERO, self.field(), 1)
        if before.epoch_count != epoch and not coming:
            return before.next_epoch_data
        return before.next_epoch_data if coming else before.staking_epoch_data
