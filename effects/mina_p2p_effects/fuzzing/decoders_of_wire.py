"""The decoders of what peers send: declared types, frames, texts, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final

from mina_p2p import base58
from mina_p2p.address import AddressError, parse_address, parse_host, parse_peer_list, parse_signaling
from mina_p2p.blocks.split import rebuild_body, split_block, split_body
from mina_p2p.channels.address_gossip.messages import ADDRESS_MESSAGE, ADDRESS_RECORD
from mina_p2p.channels.block.messages import BLOCK_MESSAGE
from mina_p2p.connection.hello import HELLO
from mina_p2p.errors import DecodeError
from mina_p2p.identity import MAINNET_CHAIN_ID, ChainId, IdentityError, PeerId, PublicKey, is_curve_point
from mina_p2p.mina import hashes
from mina_p2p.mina.catalog import TYPE_NAMES, annotation_of, codec_of
from mina_p2p.mina.json_form import JsonFormError, from_json, to_json
from mina_p2p.mina.proof_sexp import proof_from_text, proof_to_text
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.mina.rpc import RPC_METHODS, Query, query_value
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.relay.messages import block_message, read_message, snark_message, transaction_message
from mina_p2p.signaling import objects
from mina_p2p.testing.catalog import OTHERS, catalog
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.wire import FrameCutter, codec, encode_frame
from mina_p2p_effects.fuzzing.decoders import SEEDS, Decoder, of_codec, of_text
from mina_p2p_effects.fuzzing.samples import a_dial_address, a_host, a_signaling_method, sample

_JSON_TYPES: Final = (
    "MinaBaseSignedCommandStableV2",
    "MinaBaseZkappCommandTStableV1WireStableV1",
    "Snark",
    "MinaStateProtocolStateValueStableV2",
)
"""Types whose JSON form is read; the form itself is made from shapes, so a few show all of it."""

_FRAME_LIMIT: Final = 1 << 12


def table() -> Iterator[Decoder]:
    """All of them."""
    for name in TYPE_NAMES:
        yield of_codec(f"wire.{name}", codec_of(name))
    for method in RPC_METHODS:
        yield of_codec(f"rpc.{method.tag}.{method.version}.query", method.query_codec)
        yield of_codec(f"rpc.{method.tag}.{method.version}.response", method.response_codec)
    yield of_codec("wire.hello", HELLO)
    yield of_codec("wire.address_record", ADDRESS_RECORD)
    yield of_codec("wire.address_message", ADDRESS_MESSAGE)
    yield of_codec("wire.block_message", BLOCK_MESSAGE)
    yield Decoder("content.block_parts", _block_parts, lambda _: map(bytes, catalog().blocks), encode=b"".join)
    yield Decoder("content.gossip", read_message, _gossip)
    yield Decoder("rpc.message", _rpc_message, _rpc_messages)
    yield Decoder("wire.frames", _frames, _some_frames, encode=lambda frames: b"\7" + b"".join(map(encode_frame, frames)))
    yield from _contents()
    yield from _texts()
    yield from _json()


def _gossip(dice: Dice) -> Iterable[bytes]:
    generator = MinaGenerator(dice.below(1 << 20))
    yield block_message(RawBlock.of(generator.genesis()))
    yield transaction_message(RawUserCommand.of(generator.payment(nonce=0)))
    yield snark_message(RawSnark.of(generator.snark()))


def _rpc_message(data: bytes) -> Any:
    message = codec_of("rpc_message").decode(data)
    return query_value(message) if isinstance(message, Query) else message


def _rpc_messages(dice: Dice) -> Iterable[bytes]:
    both = codec_of("rpc_message")
    queries = [Query(method.tag.encode(), method.version, dice.below(1 << 20), sample(method.query_codec, dice)) for method in RPC_METHODS]
    return [both.encode(query) for query in queries]


def _frames(data: bytes) -> list[bytes]:
    """Cut in pieces, whose size the first byte says; must not depend on it."""
    size, stream = 1 + data[0] if data else 1, data[1:]
    found = _outcome(FrameCutter(_FRAME_LIMIT), [stream[at : at + size] for at in range(0, len(stream), size)])
    whole = _outcome(FrameCutter(_FRAME_LIMIT), [stream])
    if found != whole:
        raise AssertionError(f"in pieces of {size} bytes the stream has other frames than in one: {found!r} and {whole!r}")
    frames, failure = found
    if failure is not None:
        raise DecodeError("frame", 0, failure)
    return frames


def _outcome(cutter: FrameCutter, pieces: list[bytes]) -> tuple[list[bytes], str | None]:
    frames: list[bytes] = []
    for piece in pieces:
        try:
            frames += cutter.feed(piece)
        except DecodeError as error:
            return frames + list(getattr(error, "complete", ())), error.reason
        if cutter.buffered > _FRAME_LIMIT:
            raise AssertionError(f"{cutter.buffered} bytes are held of frames of at most {_FRAME_LIMIT}")
    return frames, None


def _some_frames(dice: Dice) -> Iterable[bytes]:
    for count in range(4):
        yield bytes((dice.below(9),)) + b"".join(encode_frame(dice.raw(dice.below(40))) for _ in range(count))


def _contents() -> Iterator[Decoder]:
    """What is computed of items before anything else is known of them."""
    items = catalog()
    yield Decoder("content.transaction", lambda data: transaction_info(RawUserCommand(data)), lambda _: map(bytes, items.payments))
    yield Decoder("content.zkapp", lambda data: transaction_info(RawUserCommand(data)), lambda _: [_zkapp()])
    yield Decoder("content.snark", lambda data: snark_info(RawSnark(data)), lambda _: map(bytes, items.snarks))
    yield Decoder("content.block", lambda data: hashes.block_summary(RawBlock(data)), lambda _: map(bytes, items.blocks))


def _block_parts(data: bytes) -> tuple[bytes, bytes]:
    """A block taken apart and put together again, which must give the same bytes."""
    header, body = split_block(data)
    parts = split_body(body)
    if rebuild_body(parts.frame, parts.items) != body:
        raise AssertionError("a body that was rebuilt of its parts is another one")
    return bytes(header), bytes(body)


def _zkapp() -> bytes:
    return codec_of("MinaBaseUserCommandStableV2").encode(MinaGenerator(1).zkapp_command())


def _texts() -> Iterator[Decoder]:
    keys = [bytes(peer) for peer in OTHERS]
    yield of_text("text.address", parse_address, (AddressError,), lambda dice: [str(a_dial_address(dice)) for _ in range(12)])
    yield of_text("text.host", parse_host, (AddressError,), lambda dice: [str(a_host(dice)) for _ in range(12)])
    yield of_text("text.signaling", parse_signaling, (AddressError,), lambda dice: [str(a_signaling_method(dice)) for _ in range(12)])
    yield of_text("text.peer_list", parse_peer_list, (), lambda dice: ["\n".join(str(a_dial_address(dice)) for _ in range(4))], None)
    yield of_text("text.peer_id", PeerId.parse, (IdentityError,), lambda _: [text for peer in OTHERS for text in (str(peer), peer.libp2p)])
    yield of_text("text.public_key", PublicKey.parse, (IdentityError,), lambda _: [str(_a_key())])
    yield of_text("text.chain_id", ChainId.parse, (IdentityError,), lambda _: [str(MAINNET_CHAIN_ID)])
    yield of_text("text.base58", base58.decode, (base58.Base58Error,), lambda _: map(base58.encode, keys), base58.encode)
    yield of_text("text.base58_check", _base58_check, (base58.Base58Error,), lambda _: [base58.encode_check(7, key) for key in keys])
    yield of_text(
        "text.snark_job_id", hashes.parse_snark_job_id, (ValueError, base58.Base58Error), lambda _: [_job_id()], hashes.snark_job_id_text
    )
    yield of_text("text.proof", proof_from_text, (ValueError,), lambda _: [proof_to_text(MinaGenerator(1).proof())], proof_to_text)
    yield Decoder("key.peer_id_protobuf", PeerId.from_protobuf, lambda _: [peer.protobuf for peer in OTHERS], (IdentityError,))
    yield Decoder("key.peer_id_multihash", PeerId.from_multihash, lambda _: [peer.multihash for peer in OTHERS], (IdentityError,))


@cache
def _a_key() -> PublicKey:
    """The first that is a point of the curve."""
    return PublicKey(next(raw for raw in (n.to_bytes(32, "little") for n in range(2, 256)) if is_curve_point(raw)))


def _base58_check(text: str) -> str:
    return base58.encode_check(7, base58.decode_check(text, 7))


def _job_id() -> str:
    return hashes.snark_job_id_text(snark_info(catalog().snarks[0]).job_id)


def _json() -> Iterator[Decoder]:
    yield Decoder("json.offer", objects.decode_offer, _offers, encode=objects.encode_offer)
    yield Decoder("json.response", objects.decode_response, _responses, encode=objects.encode_response)
    for name in _JSON_TYPES:
        yield _json_form(name)


def _json_form(name: str) -> Decoder:
    kind: Any = annotation_of(name)
    both = codec(kind)

    def seeds(dice: Dice) -> Iterable[bytes]:
        drawn = sorted((sample(both, dice) for _ in range(SEEDS)), key=len)
        return [json.dumps(to_json(both.decode(data), kind)).encode() for data in drawn[:3]]

    return Decoder(f"json.{name}", lambda data: from_json(_loaded(data), kind), seeds, (JsonFormError,))


def _loaded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # whoever reads the text says so, before a form is asked for
        raise JsonFormError("no JSON") from error


def _offers(dice: Dice) -> Iterable[bytes]:
    for _ in range(SEEDS):
        port = dice.below(1 << 16) if dice.below(2) else None
        yield objects.encode_offer(objects.Offer("v=0\r\n", MAINNET_CHAIN_ID, _a_key(), OTHERS[1], a_host(dice), port))


def _responses(_: Dice) -> Iterable[bytes]:
    answers: list[Callable[[], objects.ConnectionResponse]] = [
        lambda: objects.Accepted(objects.Answer("v=0\r\n", _a_key(), OTHERS[1])),
        objects.SignalDecryptionFailed,
        objects.InternalError,
        *[lambda reason=reason: objects.Rejected(reason) for reason in objects.RejectionReason],
    ]
    return [objects.encode_response(make()) for make in answers]
