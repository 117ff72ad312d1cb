"""Where a socket that is bound to all addresses can be reached."""

from __future__ import annotations

import pytest

from mina_p2p.address import HostScope, Ipv4, Ipv6, host_scope, parse_ip
from mina_p2p_effects.interfaces import ADDRESSES_MAX, reachable_at


@pytest.mark.parametrize("text", ["127.0.0.1", "192.0.2.7", "::1", "2001:db8::7"])
def test_a_bound_address_stands_for_itself(text: str) -> None:
    """Whether this machine has it or not."""
    assert reachable_at(parse_ip(text)) == (parse_ip(text),)


@pytest.mark.parametrize(("text", "kinds"), [("0.0.0.0", {Ipv4}), ("::", {Ipv4, Ipv6})])
def test_all_addresses_are_those_of_the_interfaces(text: str, kinds: set[type]) -> None:
    """Loopback at least, of each kind that is bound; none twice, and none that others could not dial."""
    found = reachable_at(parse_ip(text))
    assert Ipv4.of(127, 0, 0, 1) in found
    assert {type(one) for one in found} <= kinds
    assert len(set(found)) == len(found) <= ADDRESSES_MAX
    assert not any(host_scope(one) is HostScope.RESERVED for one in found)
