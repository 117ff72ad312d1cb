"""The parts of ``mina-p2p node``.

=============  ==============================================================
`settings`     what the options mean: network, key, addresses, limits
`peers`        the lists of first peers, from files and URLs
`fetch`        one bounded HTTPS request
`software`     the node software: what is done with items, tips and questions
`node_status`  what others read of it on libp2p's network
`screen`       what a node is doing, for people
`service`      one run, from listening to goodbye
=============  ==============================================================
"""
