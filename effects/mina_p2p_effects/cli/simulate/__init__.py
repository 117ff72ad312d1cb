"""What the command ``mina-p2p simulate`` is made of."""
