"""The parts that know nothing of QUIC: reassembly, credit, deadlines, datagram size, reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, ReasonCode, StreamResetCode
from mina_p2p_effects.transports.quic.aioquic_hooks import Ending, EndingKind
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.credit import Credit, CreditBook
from mina_p2p_effects.transports.quic.deadlines import Deadlines
from mina_p2p_effects.transports.quic.path_mtu import PathMtu
from mina_p2p_effects.transports.quic.reasons import clean_text, reason_of, reset_code
from mina_p2p_effects.transports.quic.reassembly import Reassembly, TooManyGapsError

# --- reassembly


@given(st.binary(min_size=1, max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=40))
def test_pieces_in_any_order_give_the_stream_in_order(stream, cuts):
    """Whatever pieces come, overlapping and repeated, what is returned is the stream's beginning, each byte once."""
    reassembly = Reassembly(0, 1000)
    returned = b""
    covered: set[int] = set()
    for start, size in cuts:
        piece = stream[start : start + size]
        returned += reassembly.add(start, piece)
        covered.update(range(start, start + len(piece)))
        contiguous = next((n for n in range(len(stream) + 1) if n not in covered), 0)
        assert returned == stream[:contiguous]
        assert reassembly.start == contiguous
        assert reassembly.held == len(covered) - contiguous
        assert bool(reassembly) == (reassembly.held > 0)


def test_the_number_of_pieces_is_bounded():
    """One piece more than allowed is refused; touching and repeated ones cost none."""
    reassembly = Reassembly(0, 3)
    for offset in (2, 4, 6):
        assert reassembly.add(offset, b"x") == b""
    assert reassembly.add(4, b"x") == b""
    with pytest.raises(TooManyGapsError):
        reassembly.add(8, b"x")


def test_a_far_offset_costs_its_bytes():
    """Nothing is allocated for the distance."""
    reassembly = Reassembly(0, 3)
    assert reassembly.add(1 << 61, b"far") == b""
    assert reassembly.held == 3
    reassembly.clear()
    assert reassembly.held == 0


# --- credit


@st.composite
def histories(draw):
    window = draw(st.integers(4, 64))
    total = draw(st.integers(window, 4 * window))
    permitted = draw(st.lists(st.integers(0, 200), min_size=1, max_size=8))
    steps = draw(
        st.lists(st.tuples(st.integers(0, 7), st.integers(0, 64), st.sampled_from(("read", "read", "turn", "close"))), max_size=60)
    )
    return window, total, permitted, steps


@given(histories())
def test_credit_stays_within_its_three_bounds(history):
    """Never more than permitted, than a window ahead, than the connection's share; and nobody waits for ever.

    A turn replaces what is permitted; what an earlier one had opened stays open, and nothing is opened on top of it.
    """
    window, total, permitted, steps = history
    book = CreditBook(window=window, total=total)
    accounts = [Credit(amount) for amount in permitted]
    announced = dict.fromkeys(range(len(accounts)), 0)
    bound = list(permitted)
    closed: set[int] = set()

    def announce(stream, offset):
        if offset is not None:
            assert offset > announced[stream], "credit is announced only where it grew"
            announced[stream] = offset

    def check():
        assert book.outstanding == sum(account.granted - account.consumed for account in accounts)
        assert 0 <= book.outstanding <= total
        for stream, account in enumerate(accounts):
            assert account.consumed <= account.granted <= bound[stream]
            assert account.granted - account.consumed <= window
            assert announced[stream] == account.granted or account.granted == account.consumed

    for stream, account in enumerate(accounts):
        announce(stream, book.extend(account, stream))
        check()
    for which, size, what in steps:
        stream = which % len(accounts)
        account = accounts[stream]
        if what == "close":
            book.close(account)
            closed.add(stream)
        elif what == "turn" and stream not in closed:
            bound[stream] = max(account.granted, account.consumed + size)
            book.permit(account, account.consumed + size)
            announce(stream, book.extend(account, stream))
        else:
            book.consume(account, min(size, min(account.granted, account.permitted) - account.consumed))
            announce(stream, book.extend(account, stream))
        for served, offset in book.serve():
            announce(served, offset)
        check()
    for stream, account in enumerate(accounts):  # credit that nobody may use is held until its stream ends
        book.permit(account, max(account.permitted, account.granted))
        announce(stream, book.extend(account, stream))
    for _ in range(1000):  # everybody reads what comes: everybody must come to the end of its permission
        for stream, account in enumerate(accounts):
            if account.granted > account.consumed:  # without credit nothing comes, so nothing asks for more
                book.consume(account, account.granted - account.consumed)
                announce(stream, book.extend(account, stream))
        for served, offset in book.serve():
            announce(served, offset)
        if all(account.consumed == account.permitted for account in accounts):
            break
    assert all(account.consumed == account.permitted for account in accounts)
    assert not book.is_short


# --- deadlines


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 100)), st.booleans()), max_size=80))
def test_nobody_is_woken_late(steps):
    """Every owner is woken at its deadline or before, never after; a forgotten one never."""
    deadlines: Deadlines[int] = Deadlines()
    wanted: dict[int, int | None] = {}
    now = 0
    for owner, delay, forgets in steps:
        if forgets:
            deadlines.forget(owner)
            wanted.pop(owner, None)
        else:
            wanted[owner] = None if delay is None else now + delay
            deadlines.set(owner, wanted[owner])
        times = [time for time in wanted.values() if time is not None]
        if times:
            assert deadlines.next is not None
            assert deadlines.next <= min(times)
            now = max(now, int(deadlines.next))
        for woken in deadlines.due(now):
            assert woken in wanted
            time = wanted[woken]
            if time is not None and time <= now:
                wanted[woken] = None
            deadlines.set(woken, wanted[woken])
        assert all(time is None or time > now for time in wanted.values())


def test_a_deadline_that_moves_ten_thousand_times_leaves_nothing_behind():
    """A connection's deadline moves with each packet; its wake-ups do not pile up, nor do those of connections that are gone."""
    deadlines: Deadlines[int] = Deadlines()
    now = 0.0
    for _ in range(10_000):
        now += 0.001
        deadlines.set(1, now + 0.001)
        deadlines.due(now)
        deadlines.set(1, now + 30)
    assert len(deadlines._heap) < 10
    for owner in range(10_000):
        deadlines.set(owner, now + owner)
        deadlines.forget(owner)
    assert len(deadlines._heap) < 100


# --- the datagram's size


def test_the_size_rises_after_an_acknowledged_probe_and_falls_on_silence():
    """Base, probe, top; three time-outs bring the base back for ten minutes."""
    mtu = PathMtu(QuicConfig())
    assert (mtu.size, mtu.probe_at) == (1200, None)
    mtu.begin(5.0)
    assert mtu.probe_at == 5.0
    ticket = mtu.sent(5.0)
    assert mtu.probe_at is None
    mtu.report(ticket, arrived=True)
    assert mtu.size == 1452
    mtu.timeouts(2, 9.0)
    assert mtu.size == 1452
    mtu.timeouts(3, 9.0)
    assert (mtu.size, mtu.probe_at) == (1200, 609.0)


def test_probes_are_given_up_and_tried_again_later():
    """Three lost probes, then silence for ten minutes."""
    mtu = PathMtu(QuicConfig())
    mtu.begin(0.0)
    for sent_at in (0.0, 1.0, 2.0):
        assert mtu.probe_at is not None
        assert mtu.probe_at <= sent_at
        mtu.report(mtu.sent(sent_at), arrived=False)
    assert (mtu.size, mtu.probe_at) == (1200, 602.0)


def test_a_report_about_another_path_does_not_count():
    """An acknowledgement that arrives after the path changed proves nothing of the new one."""
    mtu = PathMtu(QuicConfig())
    mtu.begin(0.0)
    ticket = mtu.sent(0.0)
    mtu.begin(1.0)
    mtu.report(ticket, arrived=True)
    assert mtu.size == 1200


def test_nothing_is_probed_where_the_sizes_are_equal():
    """A configuration can switch probing off."""
    mtu = PathMtu(QuicConfig(datagram_probe_bytes=1200))
    mtu.begin(0.0)
    assert mtu.probe_at is None


# --- reasons


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0x00, ReasonCode.CHANNEL_CLOSED),
        (0x01, ReasonCode.TRANSPORT_ERROR),
        (0x02, ReasonCode.PEER_CAPACITY_FULL),
        (0x03, ReasonCode.CHANNEL_MSG_OVER_PERMISSION),
        (0x04, ReasonCode.STREAM_MISUSE),
        (0x05, ReasonCode.STREAM_MISUSE),
        (0x06, ReasonCode.STREAM_MISUSE),
        (0x0A, ReasonCode.TRANSPORT_ERROR),
        (0x0C, ReasonCode.CHANNEL_CLOSED),
        (0x11, ReasonCode.NO_COMMON_PROTOCOL),
        (0x12A, ReasonCode.AUTHENTICATION_FAILED),
        (0x12D, ReasonCode.AUTHENTICATION_FAILED),
        (0x133, ReasonCode.AUTHENTICATION_FAILED),
        (0x174, ReasonCode.AUTHENTICATION_FAILED),
        (0x178, ReasonCode.NO_COMMON_PROTOCOL),
        (0x150, ReasonCode.TRANSPORT_ERROR),
        (0x7FFFFFFF, ReasonCode.TRANSPORT_ERROR),
    ],
)
def test_transport_codes_have_reasons(code, reason):
    """Each code of QUIC and TLS is one reason, whoever sent it."""
    for kind in (EndingKind.PEER, EndingKind.LOCAL):
        found = reason_of(Ending(kind, False, code, "text"), handshake_done=True)
        assert found.code is reason
        assert found.detail


def test_an_unknown_application_code_is_unknown():
    """A later version's code is `UNKNOWN`, with its number where it has no text."""
    found = reason_of(Ending(EndingKind.PEER, True, 0x9999, ""), handshake_done=True)
    assert (found.code, found.detail) == (ReasonCode.UNKNOWN, "code 0x9999")
    assert reset_code(0x9999) is StreamResetCode.INTERNAL
    assert reset_code(1) is StreamResetCode.REFUSED


def test_silence_and_version_have_reasons():
    """What no peer said."""
    silent = Ending(EndingKind.SILENCE, False, 1, "Idle timeout")
    assert reason_of(silent, handshake_done=True).code is ReasonCode.TRANSPORT_ERROR
    assert reason_of(silent, handshake_done=False).detail == "the peer did not answer"
    assert reason_of(Ending(EndingKind.VERSION, False, 1, ""), handshake_done=False).code is ReasonCode.NO_COMMON_PROTOCOL


@given(st.text(max_size=500))
def test_texts_from_outside_are_short_and_printable(text):
    """Nothing that could control a terminal or forge a line of a log."""
    cleaned = clean_text(text)
    assert cleaned.isprintable()
    assert len(cleaned) <= DETAIL_CHARS_MAX
