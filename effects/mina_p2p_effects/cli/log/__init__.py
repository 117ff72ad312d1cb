"""The subcommands of ``mina-p2p log``, a module each: ``add_arguments``, ``run``, and a docstring that is its help."""
