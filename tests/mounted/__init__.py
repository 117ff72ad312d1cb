"""libp2p's machine inside the root of a node."""
