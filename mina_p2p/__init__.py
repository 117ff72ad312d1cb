"""mina_p2p."""
