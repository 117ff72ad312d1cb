"""Interop with nodes of other implementations of libp2p."""
