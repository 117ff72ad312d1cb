"""Counting what a node does.

===============  ==============================================================
`meter`          frames and permissions, by watching the store
`traffic`        what transports count: bytes, streams, losses, waits
`status`         what a node is doing at one moment
`figures`        the same as named figures
`prometheus`     figures in Prometheus' text format
`endpoint`       the HTTP endpoint that serves them
`opentelemetry`  figures sent to a collector
===============  ==============================================================
"""
