"""``docs/explanation/quic-mapping.md`` says what the code does: its tables and numbers are compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aioquic.quic.packet import QuicErrorCode
from attrs import fields

from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, ReasonCode, StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.transport import CONVERSATION_CHANNELS
from mina_p2p.wire.framing import HEADER_SIZE
from mina_p2p_effects.transports.quic.certificate import CERTIFICATE_BYTES_MAX, EXTENSION_OID, SIGNED_PREFIX
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.reasons import ALERTS, TRANSPORT_CODES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "quic-mapping.md"


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_goodbye_codes():
    """Every `ReasonCode`, in order, with its value."""
    assert [(row[0], row[1]) for row in rows("Goodbyes")] == [(f"0x{code:02x}", code.name) for code in ReasonCode]


def test_the_reset_codes():
    """Every `StreamResetCode`, in order, with its value."""
    assert [(row[0], row[1]) for row in rows("Resets of one stream")] == [(f"0x{code:02x}", code.name) for code in StreamResetCode]


def test_the_transport_codes():
    """Every QUIC code and TLS alert that has a reason of its own."""
    written: dict[int, str] = {}
    for code, _, reason in rows("QUIC's and TLS's own"):
        if code == "any other":
            assert reason == ReasonCode.TRANSPORT_ERROR.name
            continue
        for part in code.split(", "):
            low, _, high = part.partition(" to ")
            written.update(dict.fromkeys(range(int(low, 16), int(high or low, 16) + 1), reason))
    known = {int(code): reason.name for code, reason in TRANSPORT_CODES.items()}
    known |= {0x100 + alert: reason.name for alert, reason in ALERTS.items()}
    assert written == known


@pytest.mark.parametrize("code", sorted(TRANSPORT_CODES))
def test_the_transport_codes_names(code):
    """The names are RFC 9000's."""
    assert [f"0x{code:02x}", QuicErrorCode(code).name] in [row[:2] for row in rows("QUIC's and TLS's own")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("On channels {}", "{}, {} and {}".format(*(channel.value for channel in sorted(CONVERSATION_CHANNELS)))),
        ("with its length ({} bytes)", f"{QuicConfig().request_bytes_max + HEADER_SIZE:,}".replace(",", " ")),
        ("configured for it (`{}`)", "are_private_addresses_dialled"),
        ("initial_max_stream_data_bidi_remote | {}", f"{QuicConfig().request_bytes_max + 5:,}".replace(",", " ")),
        ("At most {} bytes, within 5 seconds", QuicConfig().hello_bytes_max),
        ("a window of {} KiB", QuicConfig().answer_window_bytes // 1024),
        ("Here: {} MiB; an answer that finds none", QuicConfig().connection_credit_bytes >> 20),
        ("{} pieces ahead of a gap", QuicConfig().gaps_max),
        ("above {} MiB of unacknowledged", QuicConfig().send_high_bytes >> 20),
        ("below {} KiB to go on", QuicConfig().send_low_bytes >> 10),
        ("above {} MiB the connection ends", QuicConfig().send_bytes_max >> 20),
        ("at most {} characters", DETAIL_CHARS_MAX),
        ("of at most {} bytes;", CERTIFICATE_BYTES_MAX),
        ("TLS data at most {} KiB", QuicConfig().handshake_bytes_max >> 10),
        ("limited\nin total ({})", QuicConfig().handshakes_pending_max),
        ("by group ({}) and by the same rate", QuicConfig().handshakes_pending_per_group_max),
        ("From\n{} pending handshakes of unproved addresses on", QuicConfig().retry_above),
        ("unproved addresses on, {} of one group", QuicConfig().retry_per_group_above),
        ("or {} a second of one group", QuicConfig().handshakes_per_second_max),
        ("(after a burst of {})", QuicConfig().handshakes_burst_max),
        ("(/{} and", QuicConfig().group_ipv4_bits),
        ("and /{})", QuicConfig().group_ipv6_bits),
        ("Here: {} in each direction", QuicConfig().tickets_max),
        ("and {} that one peer holds of ours", QuicConfig().tickets_per_peer_max),
        ("At most {} bytes of\n   it are taken", QuicConfig().early_bytes_max),
        ("the next one {} ms after the last", int(QuicConfig().dial_stagger_s * 1000)),
        ("at most {} times a second", QuicConfig().resets_per_second_max),
        ("together hold at most {} MiB", QuicConfig().send_total_bytes_max >> 20),
        ("by connection ({} MiB", QuicConfig().receive_bytes_max >> 20),
        ("of the node ({} MiB", QuicConfig().receive_total_bytes_max >> 20),
        ("max_idle_timeout | {} ms", "30 000"),
        ("`mina-pull/1/{}`", MAINNET_CHAIN_ID.quic_alpn.rpartition("/")[2]),
        ("padded to {} bytes", QuicConfig().datagram_probe_bytes),
        ("in {} ms may leave at once", int(QuicConfig().pacing_burst_s * 1000)),
        ("`{}`, whose value is", EXTENSION_OID.dotted_string),
        ("`{}` followed by", SIGNED_PREFIX.decode()),
    ],
)
def test_the_numbers(text, value):
    """Each number of the text is the default of the configuration, or the constant."""
    assert text.format(value) in DOCUMENT.read_text()


def test_every_setting_says_its_unit():
    """Names of the configuration end in a unit, or count, or are a question."""
    units = ("_bytes", "_s", "_max", "_bits", "_bytes_max", "_above", "_timeouts", "_control", "_dir")
    assert [field.name for field in fields(QuicConfig) if not field.name.endswith(units) and not field.name.startswith("are_")] == []
