"""Campaigns: many simulated runs, on one core, on all, or on the machines of an engine that exists already.

`runner` runs one seed, `executors` many, wherever; `ledger` keeps what is done, so that a campaign
that was interrupted goes on where it was. The runs themselves are `mina_p2p.testing.campaign`.
"""
