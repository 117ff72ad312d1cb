"""Messages of channel 2 (spec: pull-protocol 5.2)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.mina.text import JsonName, Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire import ByteInts, Codec, FixedBytes, codec

CIPHERTEXT_LIMIT: Final = 16_384
"""No ciphertext is longer than the channel's frames, in bytes."""


@record
class ExchangeGetNext(Record):
    """Permits the relay to pass on one offer."""


@record
class ExchangeOfferToYou(Record):
    """Passes on an offer that the offerer encrypted for us."""

    offerer_public_key: Annotated[PeerId, FixedBytes(32), JsonName("offerer_pub_key")]
    offer: Annotated[bytes, ByteInts(CIPHERTEXT_LIMIT)]


@record
class ExchangeAnswer(Positional):
    """Our encrypted answer, or none."""

    answer: Annotated[bytes, ByteInts(CIPHERTEXT_LIMIT)] | None


ExchangeMessage: TypeAlias = Annotated[ExchangeGetNext | ExchangeOfferToYou | ExchangeAnswer, serde("GetNext", "OfferToYou", "Answer")]

EXCHANGE_MESSAGE: Final[Codec[ExchangeMessage]] = codec(ExchangeMessage)
