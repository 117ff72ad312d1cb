"""Messages of channel 6 (spec: pull-protocol 5.6)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.mina.basics import CompressedPublicKey, CurrencyFee, SnarkJobId
from mina_p2p.mina.text import JsonName, Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire import Codec, IntU8, Nat0, codec


@record
class SnarkJobCommitment(Record):
    """A snark worker says that it is working on a job."""

    timestamp_ms: Annotated[Nat0, JsonName("timestamp")]
    """Milliseconds since the Unix epoch."""
    job_id: SnarkJobId
    fee: CurrencyFee
    snarker: CompressedPublicKey


@record
class SnarkJobCommitmentGetNext(Record):
    """Permits the peer to send up to ``limit`` commitments."""

    limit: IntU8


@record
class SnarkJobCommitmentWillSend(Record):
    """Promises ``count`` commitments."""

    count: IntU8


@record
class SnarkJobCommitmentItem(Positional):
    """One commitment."""

    commitment: SnarkJobCommitment


SnarkJobCommitmentMessage: TypeAlias = Annotated[
    SnarkJobCommitmentGetNext | SnarkJobCommitmentWillSend | SnarkJobCommitmentItem, serde("GetNext", "WillSend", "Commitment")
]

SNARK_JOB_COMMITMENT_MESSAGE: Final[Codec[SnarkJobCommitmentMessage]] = codec(SnarkJobCommitmentMessage)
