"""Messages of channel 3 (spec: pull-protocol 5.3)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.mina.raw import RawBlock
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire import Codec, Remainder, codec


@record
class BestTipGetNext(Record):
    """Permits the peer to send its best tip, now or when it has a new one."""


@record
class BestTipItem(Positional):
    """The peer's best tip: the block's exact bytes, not looked into yet."""

    best_tip: Annotated[RawBlock, Remainder()]


BestTipMessage: TypeAlias = Annotated[BestTipGetNext | BestTipItem, serde("GetNext", "BestTip")]

BEST_TIP_MESSAGE: Final[Codec[BestTipMessage]] = codec(BestTipMessage)
