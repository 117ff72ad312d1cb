"""Dial addresses, signaling methods and peer lists as text."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.address import (
    ADDRESS_TEXT_LENGTH_MAX,
    PEER_LIST_LENGTH_MAX,
    AddressError,
    AddressReason,
    Domain,
    Ipv4,
    Ipv6,
    Libp2pAddress,
    QuicAddress,
    SignalingHttp,
    SignalingHttps,
    SignalingHttpsProxy,
    SignalingRelay,
    WebRtcAddress,
    address_key,
    dial_host,
    parse_address,
    parse_peer_list,
    parse_signaling,
)
from mina_p2p.address.peer_list import PEER_LIST_ADDRESSES_MAX, PEER_LIST_PROBLEMS_MAX
from mina_p2p.identity import PeerId

ID_0 = "2awmjihpsd9TkdaqEkvrJ2UguAsoigRtgoiKei4AxpA5EVzr6JZ"
ID_1 = "2bF8pb8dwWicAEpuptFvSbLRrx739bdb5uGfRiKwTuRkCBSs6nR"
L_1 = "12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD"
PEER_0, PEER_1 = PeerId.parse(ID_0), PeerId.parse(ID_1)

labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)
domains = st.builds(
    lambda front, last, dot: Domain(".".join([*front, f"x{last}"]) + dot), st.lists(labels, max_size=3), labels, st.sampled_from(["", "."])
)
hosts = st.one_of(domains, st.binary(min_size=4, max_size=4).map(Ipv4), st.binary(min_size=16, max_size=16).map(Ipv6))
ports = st.integers(0, 0xFFFF)
peer_ids = st.binary(min_size=32, max_size=32).map(PeerId)
signalings = st.one_of(
    st.builds(SignalingHttp, hosts, ports),
    st.builds(SignalingHttps, hosts, ports),
    st.builds(SignalingHttpsProxy, ports, hosts, ports),
    st.builds(SignalingRelay, peer_ids),
)
addresses = st.one_of(
    st.builds(WebRtcAddress, peer_ids, signalings),
    st.builds(Libp2pAddress, peer_ids, hosts, ports),
    st.builds(QuicAddress, peer_ids, hosts, ports),
)

TEXTS = [
    (f"/{ID_1}/https/example.com/443", WebRtcAddress(PEER_1, SignalingHttps(Domain("example.com"), 443))),
    (f"/{ID_1}/http/127.0.0.1/3000", WebRtcAddress(PEER_1, SignalingHttp(Ipv4.of(127, 0, 0, 1), 3000))),
    (f"/{ID_1}/http/[2001:db8::1]/3000", WebRtcAddress(PEER_1, SignalingHttp(Ipv6.of(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1), 3000))),
    (f"/{ID_1}/https_proxy/65535/proxy.example/443", WebRtcAddress(PEER_1, SignalingHttpsProxy(65535, Domain("proxy.example"), 443))),
    (f"/{ID_1}/p2p/{ID_0}", WebRtcAddress(PEER_1, SignalingRelay(PEER_0))),
    (f"/ip4/192.168.1.1/tcp/8302/p2p/{L_1}", Libp2pAddress(PEER_1, Ipv4.of(192, 168, 1, 1), 8302)),
    (f"/ip6/2001:db8::1/tcp/8302/p2p/{L_1}", Libp2pAddress(PEER_1, Ipv6.of(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1), 8302)),
    (f"/dns4/seed-1.mainnet.gcp.o1test.net/tcp/10003/p2p/{L_1}", Libp2pAddress(PEER_1, Domain("seed-1.mainnet.gcp.o1test.net"), 10003)),
    (f"/ip4/203.0.113.7/udp/8302/quic-v1/p2p/{L_1}", QuicAddress(PEER_1, Ipv4.of(203, 0, 113, 7), 8302)),
    (f"/ip6/::1/udp/0/quic-v1/p2p/{L_1}", QuicAddress(PEER_1, Ipv6.of(0, 0, 0, 0, 0, 0, 0, 1), 0)),
    (f"/dns4/node.example/udp/65535/quic-v1/p2p/{L_1}", QuicAddress(PEER_1, Domain("node.example"), 65535)),
]


@pytest.mark.parametrize(("text", "address"), TEXTS)
def test_every_form_prints_and_parses(text, address):
    """The text of each form, both ways; also those that the reference prints and does not read."""
    assert str(address) == text
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (f"/{L_1}/https/example.com/443", f"/{ID_1}/https/example.com/443"),
        (f"/{ID_1}/p2p/{L_1}", f"/{ID_1}/p2p/{ID_1}"),
        (f"/ip4/1.2.3.4/tcp/80/p2p/{ID_1}", f"/ip4/1.2.3.4/tcp/80/p2p/{L_1}"),
        (f"/ip4/1.2.3.4/udp/80/quic-v1/p2p/{ID_1}", f"/ip4/1.2.3.4/udp/80/quic-v1/p2p/{L_1}"),
        (f"/ip4/1.2.3.4/tcp/80/ipfs/{L_1}", f"/ip4/1.2.3.4/tcp/80/p2p/{L_1}"),
        (f"/dns/Example.COM/tcp/80/p2p/{L_1}", f"/dns4/example.com/tcp/80/p2p/{L_1}"),
        (f"/dns6/example.com/tcp/080/p2p/{L_1}", f"/dns4/example.com/tcp/80/p2p/{L_1}"),
        (f"/dns4/127.1/tcp/80/p2p/{L_1}", f"/ip4/127.0.0.1/tcp/80/p2p/{L_1}"),
        (f"/ip6/2001:DB8:0::0:1/tcp/80/p2p/{L_1}", f"/ip6/2001:db8::1/tcp/80/p2p/{L_1}"),
        (f"/{ID_1}/http/0x7f000001/80", f"/{ID_1}/http/127.0.0.1/80"),
    ],
)
def test_other_spellings_have_one_canonical_text(text, canonical):
    """Both forms of peer id, other names of the parts, and hosts in other spellings are understood."""
    assert str(parse_address(text)) == canonical


@given(addresses)
def test_every_address_comes_back_from_its_text(address):
    """Whatever is printed can be read, and fits the bound on texts."""
    text = str(address)
    assert parse_address(text) == address
    assert len(text) <= ADDRESS_TEXT_LENGTH_MAX


@given(signalings)
def test_every_signaling_method_comes_back_from_its_text(signaling):
    """The signaling part alone is a text too."""
    assert parse_signaling(str(signaling)) == signaling


def test_the_longest_address_fits():
    """The longest name, twice the longest id and the longest numbers stay below the bound; the next longer name is refused."""
    name = ".".join(["a" * 63] * 3 + ["a" * 61])
    longest = f"/{ID_1}/https_proxy/65535/{name}./65535"
    assert str(parse_address(longest)) == longest
    with pytest.raises(AddressError) as caught:
        parse_address(longest.replace(name, f"{name}a"))
    assert caught.value.inner is AddressReason.HOST_PARSE_ERROR


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/http/example.com/80", "http://example.com:80/mina/webrtc/signal"),
        ("/https/[::1]/443", "https://[::1]:443/mina/webrtc/signal"),
        ("/https_proxy/7/1.2.3.4/443", "https://1.2.3.4:443/clusters/7/mina/webrtc/signal"),
        (f"/p2p/{ID_0}", None),
    ],
)
def test_signaling_urls(text, url):
    """Where an offer is posted; through a relay it is not posted at all."""
    assert parse_signaling(text).url == url


R = AddressReason
MALFORMED_SIGNALING = [
    ("", R.NOT_ENOUGH_ARGS),
    ("/", R.NOT_ENOUGH_ARGS),
    ("/http", R.NOT_ENOUGH_ARGS),
    ("/http/", R.NOT_ENOUGH_ARGS),
    ("/http/example.com", R.NOT_ENOUGH_ARGS),
    ("/https_proxy", R.NOT_ENOUGH_ARGS),
    ("/https_proxy/1", R.NOT_ENOUGH_ARGS),
    ("/https_proxy/1/example.com", R.NOT_ENOUGH_ARGS),
    ("/p2p", R.NOT_ENOUGH_ARGS),
    ("http/example.com/80", R.OTHER),
    (" /http/example.com/80", R.OTHER),
    ("//http/example.com/80", R.UNKNOWN_SIGNALING_METHOD),
    ("/HTTP/example.com/80", R.UNKNOWN_SIGNALING_METHOD),
    ("/ftp/example.com/80", R.UNKNOWN_SIGNALING_METHOD),
    ("/https_proxy/65536/example.com/443", R.INVALID_CLUSTER_ID),
    ("/https_proxy/-1/example.com/443", R.INVALID_CLUSTER_ID),
    ("/https_proxy//example.com/443", R.INVALID_CLUSTER_ID),
    ("/https_proxy/example.com/443", R.INVALID_CLUSTER_ID),
    ("/http//80", R.HOST_PARSE_ERROR),
    ("/http/exa mple.com/80", R.HOST_PARSE_ERROR),
    ("/http/::1/80", R.HOST_PARSE_ERROR),
    ("/http/[::1/80", R.HOST_PARSE_ERROR),
    ("/http/example.com/", R.PORT_PARSE_ERROR),
    ("/http/example.com/65536", R.PORT_PARSE_ERROR),
    ("/http/example.com/+80", R.PORT_PARSE_ERROR),
    ("/http/example.com/-1", R.PORT_PARSE_ERROR),
    ("/http/example.com/8_0", R.PORT_PARSE_ERROR),
    ("/http/example.com/\u0668\u0660", R.PORT_PARSE_ERROR),
    ("/http/example.com/000080", R.PORT_PARSE_ERROR),
    ("/http/example.com/80/", R.OTHER),
    ("/http/example.com/80/more", R.OTHER),
    (f"/p2p/{ID_0}/more", R.OTHER),
    ("/p2p/", R.PEER_ID_PARSE_ERROR),
    ("/p2p/nobody", R.PEER_ID_PARSE_ERROR),
    ("/http/" + "a" * 600 + "/80", R.TOO_LONG),
]


@pytest.mark.parametrize(("text", "reason"), MALFORMED_SIGNALING)
def test_malformed_signaling_methods(text, reason):
    """Each fault has its reason, alone and inside an address."""
    with pytest.raises(AddressError) as caught:
        parse_signaling(text)
    assert caught.value.reason is reason
    assert caught.value.inner is None
    if text.startswith("/") and reason is not R.TOO_LONG:
        with pytest.raises(AddressError) as caught:
            parse_address(f"/{ID_1}{text}")
        assert caught.value.reason is R.SIGNALING_METHOD_PARSE_ERROR
        assert caught.value.inner is reason


MALFORMED_ADDRESSES = [
    ("", R.NOT_ENOUGH_ARGS),
    (f"/{ID_1}", R.NOT_ENOUGH_ARGS),
    (ID_1, R.OTHER),
    ("seed-1.example.com", R.OTHER),
    ("<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code></Error>", R.OTHER),
    (f"ip4/1.2.3.4/tcp/80/p2p/{L_1}", R.OTHER),
    ("/nobody/http/example.com/80", R.PEER_ID_PARSE_ERROR),
    ("//http/example.com/80", R.PEER_ID_PARSE_ERROR),
    (f"/{ID_1[:-1]}x/http/example.com/80", R.PEER_ID_PARSE_ERROR),
    ("/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N/http/example.com/80", R.PEER_ID_PARSE_ERROR),
    ("/ip4", R.NOT_ENOUGH_ARGS),
    ("/ip4/1.2.3.4", R.NOT_ENOUGH_ARGS),
    ("/ip4/1.2.3.4/tcp", R.NOT_ENOUGH_ARGS),
    ("/ip4/1.2.3.4/tcp/80", R.NOT_ENOUGH_ARGS),
    ("/ip4/1.2.3.4/tcp/80/p2p", R.NOT_ENOUGH_ARGS),
    ("/ip4/1.2.3.4/udp/80", R.NOT_ENOUGH_ARGS),
    ("/ip4/1.2.3.4/udp/80/quic-v1", R.NOT_ENOUGH_ARGS),
    ("/ip4/1.2.3.4/udp/80/quic-v1/p2p", R.NOT_ENOUGH_ARGS),
    ("/ip4/1.2.3.4/tcp/80/p2p/", R.PEER_ID_PARSE_ERROR),
    ("/ip4/1.2.3.4/tcp/80/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", R.PEER_ID_PARSE_ERROR),
    (f"/ip4/1.2.3.4/tcp/65536/p2p/{L_1}", R.PORT_PARSE_ERROR),
    (f"/ip4/1.2.3.4/tcp//p2p/{L_1}", R.PORT_PARSE_ERROR),
    (f"/ip4/1.2.3/tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/ip4/01.2.3.4/tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/ip4/example.com/tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/ip4/::1/tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/ip6/1.2.3.4/tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/ip6/[::1]/tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/ip6/fe80::1%eth0/tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/dns4/[::1]/tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/dns4//tcp/80/p2p/{L_1}", R.HOST_PARSE_ERROR),
    (f"/dnsaddr/example.com/tcp/80/p2p/{L_1}", R.OTHER),
    (f"/ip6zone/eth0/ip6/fe80::1/tcp/80/p2p/{L_1}", R.OTHER),
    (f"/ip4/1.2.3.4/sctp/80/p2p/{L_1}", R.OTHER),
    (f"/ip4/1.2.3.4/tcp/80/ws/p2p/{L_1}", R.OTHER),
    (f"/ip4/1.2.3.4/udp/80/quic/p2p/{L_1}", R.OTHER),
    (f"/ip4/1.2.3.4/udp/80/p2p/{L_1}", R.OTHER),
    (f"/ip4/1.2.3.4/tcp/80/p2p/{L_1}/", R.OTHER),
    (f"/ip4/1.2.3.4/tcp/80/p2p/{L_1}/p2p-circuit/p2p/{L_1}", R.OTHER),
    ("/" * 513, R.TOO_LONG),
    ("/" * 512, R.PEER_ID_PARSE_ERROR),
]


@pytest.mark.parametrize(("text", "reason"), MALFORMED_ADDRESSES)
def test_malformed_addresses(text, reason):
    """Each fault has its reason and a sentence of bounded length in printable ASCII."""
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert caught.value.reason is reason
    assert caught.value.inner is None
    message = str(caught.value)
    assert len(message) < 300
    assert message.isascii()
    assert message.isprintable()


@given(
    st.one_of(
        st.text(max_size=600),
        st.lists(
            st.sampled_from(
                ["", "ip4", "ip6", "dns4", "http", "https_proxy", "p2p", "tcp", "udp", "quic-v1", "1", "1.2.3.4", "::1", "x", ID_0, L_1]
            ),
            max_size=8,
        ).map(lambda parts: "/" + "/".join(parts)),
    )
)
def test_parsing_is_total(text):
    """Any text gives an address that prints and reads back the same, or an `AddressError`."""
    for parse in (parse_address, parse_signaling):
        try:
            value = parse(text)
        except AddressError:
            continue
        assert parse(str(value)) == value


def test_errors_survive_a_process_boundary():
    """An error can be pickled with all that it says."""
    error = AddressError(R.SIGNALING_METHOD_PARSE_ERROR, "detail", R.PORT_PARSE_ERROR)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.reason, copy.inner, str(copy)) == (error.reason, error.inner, "detail")


def test_order_is_by_variant_and_then_by_field():
    """As the reference derives it: WebRTC, libp2p, QUIC; peer id; signaling method, cluster; host, port."""
    low, high = sorted([PEER_0, PEER_1])
    name, ipv4, ipv6 = Domain("a"), Ipv4.of(1, 0, 0, 0), Ipv6.of(0, 0, 0, 0, 0, 0, 0, 0)
    ordered = [
        WebRtcAddress(low, SignalingHttp(name, 2)),
        WebRtcAddress(low, SignalingHttp(Domain("b"), 1)),
        WebRtcAddress(low, SignalingHttp(ipv4, 1)),
        WebRtcAddress(low, SignalingHttp(Ipv4.of(2, 0, 0, 0), 1)),
        WebRtcAddress(low, SignalingHttp(ipv6, 0)),
        WebRtcAddress(low, SignalingHttps(name, 1)),
        WebRtcAddress(low, SignalingHttps(name, 2)),
        WebRtcAddress(low, SignalingHttpsProxy(1, name, 9)),
        WebRtcAddress(low, SignalingHttpsProxy(2, name, 1)),
        WebRtcAddress(low, SignalingRelay(low)),
        WebRtcAddress(low, SignalingRelay(high)),
        WebRtcAddress(high, SignalingHttp(name, 1)),
        Libp2pAddress(low, name, 2),
        Libp2pAddress(low, ipv4, 1),
        Libp2pAddress(high, name, 1),
        QuicAddress(low, name, 1),
        QuicAddress(low, name, 2),
    ]
    given_backwards = ordered[::-1]
    assert sorted(given_backwards, key=address_key) == ordered


@given(addresses, addresses)
def test_the_order_tells_all_addresses_apart(left, right):
    """Equal keys mean equal addresses, so that sorting leaves nothing to chance."""
    assert (address_key(left) == address_key(right)) == (left == right)


def test_the_host_that_is_dialled():
    """Direct addresses name it, a relayed one does not."""
    assert [dial_host(address) for _, address in TEXTS[:6]] == [
        Domain("example.com"),
        Ipv4.of(127, 0, 0, 1),
        Ipv6.of(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1),
        Domain("proxy.example"),
        None,
        Ipv4.of(192, 168, 1, 1),
    ]


def test_a_peer_list_keeps_what_it_can_read():
    """Blank lines, comments, a byte order mark and carriage returns are skipped; faults have their line; repetitions go."""
    good, other = TEXTS[0][0], TEXTS[5][0]
    read = parse_peer_list(
        f"\ufeff{good}\r\n\n# a comment\n   # another\n  {other}\t\nseed-1.example.com\n{good}\n/ip4/1.2.3.4/tcp/x/p2p/{L_1}"
    )
    assert list(map(str, read.addresses)) == [good, other]
    assert [(problem.line, problem.reason) for problem in read.problems] == [(6, R.OTHER), (8, R.PORT_PARSE_ERROR)]
    assert str(read.problems[1]).startswith("line 8: ")
    assert read.problem_count == 2


def test_an_error_page_is_a_list_of_problems():
    """No address comes from it, so that the caller keeps the list it had."""
    read = parse_peer_list("<?xml version='1.0' encoding='UTF-8'?>\n<Error>\n<Code>NoSuchKey</Code>\n</Error>")
    assert read.addresses == ()
    assert read.problem_count == 4


def test_a_peer_list_is_bounded():
    """Problems are kept up to a number and counted beyond it; what exceeds the length or the number of addresses is reported."""
    noise = parse_peer_list("x\n" * 1000)
    assert len(noise.problems) == PEER_LIST_PROBLEMS_MAX
    assert noise.problem_count == 1000

    long = parse_peer_list(f"{TEXTS[0][0]}\n{'#' * (PEER_LIST_LENGTH_MAX - len(TEXTS[0][0]) - 10)}\n{TEXTS[5][0]}\n{TEXTS[6][0]}")
    assert list(map(str, long.addresses)) == [TEXTS[0][0]]
    assert [(problem.line, problem.reason) for problem in long.problems] == [(3, R.TOO_LONG)]

    many = [f"/ip4/10.{i >> 16}.{i >> 8 & 255}.{i & 255}/tcp/1/p2p/{ID_1}" for i in range(PEER_LIST_ADDRESSES_MAX + 2)]
    read = parse_peer_list("\n".join(many))
    assert len(read.addresses) == PEER_LIST_ADDRESSES_MAX
    assert [(problem.line, problem.reason) for problem in read.problems] == [(PEER_LIST_ADDRESSES_MAX + 1, R.TOO_LONG)]
    assert parse_peer_list("\n".join(many[:-2])).problems == ()


@given(st.text(max_size=300))
def test_reading_a_peer_list_is_total(text):
    """It never raises."""
    parse_peer_list(text)
