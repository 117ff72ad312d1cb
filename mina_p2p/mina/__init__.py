"""Mina's types, hashes and chain selection.

=====================  ==========================================================
`basics`, `text`       small shared types; text forms and JSON markers
`block`                blocks; `protocol_state` what they say about the chain
`commands`, `zkapp`    transactions; `transaction_status` what became of them
`snark_work`, `proof`  snark works and proofs
`account`              accounts; `ledger_query`, `sync_ledger` ledgers in parts
`staged_ledger`        with `scan_state`, `applied`, `pending_coinbase`
`gossip`, `rpc`        messages of OCaml nodes; `channel_message` of the pull channels
`raw`                  parts that stay bytes until their value is asked for
`hashes`, `poseidon`   transaction, state and body hashes, snark job ids
`block_checks`         what can be said against a block without its proof
`chain_selection`      which chain a node follows; `network` its constants
`json_form`            JSON both ways; `proof_sexp` proofs as text
`catalog`              types by the network's names
=====================  ==========================================================
"""
