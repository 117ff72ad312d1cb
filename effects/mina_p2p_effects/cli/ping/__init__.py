"""What ``mina-p2p ping`` does: one connection, made step by step, with each step told as it ends.

=============  =======================================================
`report`       steps, their times, and the failure that ends them
`causes`       typed reasons, and what a person can do about each
`plan`         what is pinged, and as whom
`reach`        names resolved, addresses tried one after the other
`libp2p`       TCP, pnet, multistream, Noise, Yamux, identify, ping
`told_status`  what a libp2p node writes of itself
`quic`         UDP, ALPN, certificates, hello, round trips
=============  =======================================================
"""
