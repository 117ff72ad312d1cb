"""Transports: each performs `mina_p2p.transport` effects and feeds its events."""
