"""Counting what a node does.

============  ==============================================================
`meter`       frames and permissions, by watching the store
`traffic`     what transports count: bytes, streams, losses, waits
`status`      what a node is doing at one moment
`prometheus`  a node's status in Prometheus' text format
`endpoint`    the HTTP endpoint that serves it
============  ==============================================================
"""
