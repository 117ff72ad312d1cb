"""Tests of the libp2p transport."""
