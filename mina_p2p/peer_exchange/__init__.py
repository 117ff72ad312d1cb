"""Peer exchange: who prunes a mesh names others in its place, by the records that they have signed (spec: libp2p 9, 11).

Off unless ``gossipsub.is_peer_exchange_enabled``. Go exchanges with whoever scores well, and OCaml nodes score nobody; this
node takes names of a peer that was in its mesh only, and dials while it has room.

====================================  ============================================================================
`NetworkExchangeOwnChanged`           our addresses have changed: the runtime signs our record, which is in identify
`NetworkExchangeSigned`               it is signed
`NetworkExchangeRecordReceived`       a peer's own record, from identify: checked, and kept to be passed on
`NetworkExchangePeersReceived`        a peer that has pruned us names others: their records are checked
`NetworkExchangeVerified`             a record is its peer's: kept, or the peer is told and dialled
`NetworkExchangePeerGone`             what was kept of a peer is forgotten
====================================  ============================================================================
"""
