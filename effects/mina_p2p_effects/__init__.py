"""mina_p2p_effects."""
