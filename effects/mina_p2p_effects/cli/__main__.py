"""``python -m mina_p2p_effects.cli``: the same as ``mina-p2p``."""

from __future__ import annotations

import sys

from mina_p2p_effects.cli import main

if __name__ == "__main__":
    sys.exit(main())
