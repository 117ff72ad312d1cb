"""Messages of channel 5 (spec: pull-protocol 5.5)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.mina.basics import CompressedPublicKey, CurrencyFee, SnarkJobId
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire import Codec, IntU8, codec


@record
class SnarkInfo(Record):
    """What is announced of a snark work; the work itself is asked for on the RPC channel."""

    job_id: SnarkJobId
    fee: CurrencyFee
    prover: CompressedPublicKey


@record
class SnarkGetNext(Record):
    """Permits the peer to announce up to ``limit`` snark works."""

    limit: IntU8


@record
class SnarkWillSend(Record):
    """Promises ``count`` announcements."""

    count: IntU8


@record
class SnarkItem(Positional):
    """One announcement."""

    snark: SnarkInfo


SnarkMessage: TypeAlias = Annotated[SnarkGetNext | SnarkWillSend | SnarkItem, serde("GetNext", "WillSend", "Snark")]

SNARK_MESSAGE: Final[Codec[SnarkMessage]] = codec(SnarkMessage)
