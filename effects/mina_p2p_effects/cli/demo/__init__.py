"""``mina-p2p demo``: several nodes, each a process of its own, find each other and spread data by permission.

* ``data``: what spreads; ``protocol``: what parent and nodes tell each other;
* ``child``: one node's process; ``parent``: starts them, watches, verifies, reports.
"""
