"""Tests of the QUIC transport."""
