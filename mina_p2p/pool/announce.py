"""What is announced of an item, from the item itself."""

from __future__ import annotations

from mina_p2p.channels.snark.messages import SnarkInfo
from mina_p2p.channels.transaction.messages import TransactionInfo
from mina_p2p.mina.commands import SignedCommand
from mina_p2p.mina.hashes import snark_job_id_of, transaction_hash
from mina_p2p.mina.raw import RawSnark, RawUserCommand


def transaction_info(raw: RawUserCommand) -> TransactionInfo:
    """Hash, payer, fee and nonce of a transaction.

    :raises DecodeError: where ``raw`` is no user command.
    """
    command = raw.value
    found = transaction_hash(raw)
    if isinstance(command, SignedCommand):
        common = command.payload.common
        return TransactionInfo(found, common.fee_payer_pk, common.fee, common.nonce)
    payer = command.fee_payer.body
    return TransactionInfo(found, payer.public_key, payer.fee, payer.nonce)


def snark_info(raw: RawSnark) -> SnarkInfo:
    """Job, fee and prover of a snark work.

    :raises DecodeError: where ``raw`` is none.
    """
    work = raw.value
    return SnarkInfo(snark_job_id_of(raw), work.fee, work.snarker)
