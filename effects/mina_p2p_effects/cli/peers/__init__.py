"""The subcommands of ``mina-p2p peers``."""
