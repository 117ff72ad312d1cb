"""Hosts: their texts, their scope and their network."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.address import (
    AddressError,
    AddressReason,
    Domain,
    HostScope,
    Ipv4,
    Ipv6,
    address_group,
    host_key,
    host_scope,
    parse_host,
    parse_ip,
)


def v4(text):
    return Ipv4(ipaddress.IPv4Address(text).packed)


def v6(text):
    return Ipv6(ipaddress.IPv6Address(text).packed)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.com", Domain("example.com")),
        ("EXAMPLE.Com", Domain("example.com")),
        ("example.com.", Domain("example.com.")),
        ("localhost", Domain("localhost")),
        ("a_b-c.1x", Domain("a_b-c.1x")),
        ("xn--bcher-kva.example", Domain("xn--bcher-kva.example")),
        ("127.0.0.1", v4("127.0.0.1")),
        ("127.0.0.1.", v4("127.0.0.1")),
        ("127.1", v4("127.0.0.1")),
        ("2130706433", v4("127.0.0.1")),
        ("0x7f.1", v4("127.0.0.1")),
        ("0X7F000001", v4("127.0.0.1")),
        ("0177.0.0.1", v4("127.0.0.1")),
        ("10.1.65535", v4("10.1.255.255")),
        ("0", v4("0.0.0.0")),
        ("0x", v4("0.0.0.0")),
        ("4294967295", v4("255.255.255.255")),
        ("[::1]", v6("::1")),
        ("[2001:DB8::0001]", v6("2001:db8::1")),
        ("[::ffff:1.2.3.4]", v6("::ffff:1.2.3.4")),
    ],
)
def test_hosts_are_read_as_urls_have_them(text, host):
    """Names in lower case; the old spellings of IPv4 addresses as the address they mean; IPv6 in brackets."""
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "a..b", ".a", "a b", "a\tb", "a/b", "a:b", "a@b", "a%41", "a#", "a?", "a\\b", "a\0", "a\n", "<a>", "bücher.example", "\u2460",
        "a" * 64, "a." * 127 + "a", "a" * 100_000,
        "1.2.3.4.5", "1.2.3.4.0", "256.1.1.1", "1.2.3.256", "1.2.65536", "4294967296", "0x100000000", "09", "1.2.3.08", "1.x.3.4", "a.1", "a.0x1", "a.0x",
        "::1", "[]", "[::1", "::1]", "[::1]x", "[1.2.3.4]", "[::1%25eth0]", "[::1%eth0]", "[1:2:3:4:5:6:7:8:9]", "[::1/64]", "[" + "0" * 100_000 + "]",
    ],
)  # fmt: skip
def test_what_is_no_host(text):
    """Empty and overlong names, other characters, numbers that are no address, unbracketed IPv6."""
    with pytest.raises(AddressError) as caught:
        parse_host(text)
    assert caught.value.reason is AddressReason.HOST_PARSE_ERROR
    assert len(str(caught.value)) < 300


@given(st.binary(min_size=16, max_size=16))
def test_every_ipv6_address_comes_back(packed):
    """With and without brackets; the text is what the standard library understands."""
    host = Ipv6(packed)
    assert parse_host(str(host)) == parse_ip(host.plain) == host
    assert ipaddress.IPv6Address(host.plain).packed == packed
    assert Ipv6.of(*host.segments) == host


@pytest.mark.parametrize(
    ("segments", "text"),
    [
        ((0, 0, 0, 0, 0, 0, 0, 0), "::"),
        ((0, 0, 0, 0, 0, 0, 0, 1), "::1"),
        ((1, 0, 0, 0, 0, 0, 0, 0), "1::"),
        ((1, 0, 2, 3, 4, 5, 6, 7), "1:0:2:3:4:5:6:7"),
        ((1, 0, 0, 2, 0, 0, 3, 4), "1::2:0:0:3:4"),
        ((1, 0, 0, 2, 0, 0, 0, 4), "1:0:0:2::4"),
        ((0xABCD, 0, 0, 0, 0, 0xFFFF, 0x0102, 0x0304), "abcd::ffff:102:304"),
    ],
)
def test_ipv6_texts(segments, text):
    """The first of the longest runs of two or more zero segments is shortened."""
    assert Ipv6.of(*segments).plain == text


@given(st.binary(min_size=4, max_size=4))
def test_every_ipv4_address_comes_back(packed):
    """As a dotted quad, which is also what the standard library prints."""
    host = Ipv4(packed)
    assert parse_host(str(host)) == parse_ip(host.plain) == host
    assert str(ipaddress.IPv4Address(packed)) == str(host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2.3",
        "1.2.3.4.",
        "01.2.3.4",
        "1.2.3.4 ",
        "\u0661.2.3.4",
        "1.2.3.4\n",
        "1.2.3.4.5",
        "256.0.0.1",
        "::1%eth0",
        ":::",
        "localhost",
    ],
)
def test_what_sockets_never_print(text):
    """The strict reader takes no other spelling."""
    with pytest.raises(AddressError):
        parse_ip(text)


@pytest.mark.parametrize("values", [(1, 2, 3), (1, 2, 3, 4, 5), (1, 2, 3, 256), (-1, 2, 3, 4)])
def test_octets_are_checked(values):
    """Four octets, nothing else."""
    with pytest.raises(ValueError, match=r"octets|range"):
        Ipv4.of(*values)


@pytest.mark.parametrize("values", [(1,) * 7, (1,) * 9, (0x10000, *(0,) * 7), (-1, *(0,) * 7)])
def test_segments_are_checked(values):
    """Eight segments, nothing else."""
    with pytest.raises(ValueError, match="segments"):
        Ipv6.of(*values)


L, P, R, G, N = HostScope.LOOPBACK, HostScope.PRIVATE, HostScope.RESERVED, HostScope.GLOBAL, HostScope.NAME


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("127.0.0.1", L), ("127.255.255.255", L), ("126.255.255.255", G), ("128.0.0.0", G),
        ("10.0.0.0", P), ("10.255.255.255", P), ("9.255.255.255", G), ("11.0.0.0", G),
        ("172.16.0.0", P), ("172.31.255.255", P), ("172.15.255.255", G), ("172.32.0.0", G),
        ("192.168.0.0", P), ("192.168.255.255", P), ("192.167.255.255", G), ("192.169.0.0", G),
        ("100.64.0.0", P), ("100.127.255.255", P), ("100.63.255.255", G), ("100.128.0.0", G),
        ("198.18.0.0", P), ("198.19.255.255", P), ("198.17.255.255", G), ("198.20.0.0", G),
        ("169.254.0.0", P), ("169.254.255.255", P), ("169.253.255.255", G), ("169.255.0.0", G),
        ("0.0.0.0", R), ("0.255.255.255", R), ("1.0.0.0", G), ("223.255.255.255", G), ("224.0.0.1", R), ("255.255.255.255", R),
        ("[::1]", L), ("[::]", R), ("[::2]", G), ("[ff02::1]", R),
        ("[fc00::1]", P), ("[fdff::1]", P), ("[fbff::1]", G), ("[fe80::1]", P), ("[febf::1]", P), ("[fec0::1]", P), ("[2001:db8::1]", G),
        ("[::ffff:10.0.0.1]", P), ("[::ffff:127.0.0.1]", L), ("[::ffff:8.8.8.8]", G), ("[::ffff:0.0.0.0]", R),
        ("[64:ff9b::10.0.0.1]", P), ("[64:ff9b::8.8.8.8]", G), ("[64:ff9b:1::1]", P), ("[2002:a00:1::]", P), ("[2002:808:808::]", G),
        ("localhost", L), ("LocalHost.", L), ("a.localhost", L), ("notlocalhost", N), ("localhost.example", N), ("example.com", N),
        ("0x7f.1", L), ("2130706433", L),
    ],
)  # fmt: skip
def test_scopes_at_the_edges_of_their_ranges(text, scope):
    """First and last address of each range and their neighbours; other spellings do not get around it."""
    assert host_scope(parse_host(text)) is scope


@pytest.mark.parametrize(
    ("text", "bits", "group"),
    [
        ("203.0.113.7", (24, 48), "203.0.113.0/24"),
        ("203.0.113.7", (16, 48), "203.0.0.0/16"),
        ("203.0.113.7", (0, 48), "0.0.0.0/0"),
        ("203.0.113.7", (32, 48), "203.0.113.7/32"),
        ("[2001:db8:1:2::3]", (24, 48), "2001:db8:1::/48"),
        ("[2001:db8:1:2::3]", (24, 32), "2001:db8::/32"),
        ("[2001:db8:1:2::3]", (24, 0), "::/0"),
        ("[2001:db8:1:2::3]", (24, 128), "2001:db8:1:2::3/128"),
        ("[::ffff:203.0.113.9]", (24, 48), "203.0.113.0/24"),
        ("[2002:cb00:7109::1]", (24, 48), "203.0.113.0/24"),
        ("seed-1.mainnet.gcp.o1test.net", (24, 48), "o1test.net"),
        ("o1test.net.", (24, 48), "o1test.net"),
        ("localhost", (24, 48), "localhost"),
    ],
)
def test_groups(text, bits, group):
    """Addresses count by their network, names by their last two labels."""
    assert address_group(parse_host(text), *bits) == group


def test_groups_default_to_24_and_48_bits():
    """The default of all discovery methods (spec README, corrections)."""
    assert address_group(v4("203.0.113.7")) == "203.0.113.0/24"
    assert address_group(v6("2001:db8:1:2::3")) == "2001:db8:1::/48"


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4), st.integers(0, 32))
def test_a_group_is_a_network(left, right, bits):
    """Two addresses share a group exactly where their leading bits are equal."""
    same = ipaddress.ip_network((left, bits), strict=False) == ipaddress.ip_network((right, bits), strict=False)
    assert (address_group(Ipv4(left), bits) == address_group(Ipv4(right), bits)) is same


def test_hosts_order_names_first():
    """Domain before IPv4 before IPv6, then by content."""
    ordered = [Domain("a"), Domain("b"), v4("0.0.0.1"), v4("1.0.0.0"), v6("::"), v6("::1")]
    given_backwards = ordered[::-1]
    assert sorted(given_backwards, key=host_key) == ordered
