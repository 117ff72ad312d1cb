"""Pictures of logs: `mina-p2p log plot`.

* `series` reads what is drawn out of logs: peers, permissions, bytes, and how items spread.
* `style` is how all pictures look, those of other commands, too;
* `figure` draws it, by matplotlib (the extra ``plot``), as SVG, PNG or PDF, without a screen.
"""
