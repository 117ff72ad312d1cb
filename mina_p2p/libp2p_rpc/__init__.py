"""Mina's RPC over libp2p: Jane Street's async RPC as OCaml nodes speak it (spec: libp2p 10).

A *session* is one stream. Both sides greet, send heartbeats as long as it is open, and either may ask. A *call* is a
question of ours: it uses a session of ours that has nothing to do, or opens one. The first call to a peer asks for its
menu, which says what it serves in which version; a Rust node has none and is not asked.

=====================  ==========================================  ===============================
session                what happens                                next
=====================  ==========================================  ===============================
`Greeting`             the peer's greeting                         `Idle`, or the first question
`Idle`                 a call                                      `AskingMenu` or `Asking`
`AskingMenu`           the menu                                    `Asking`
`Asking`               the answer                                  `Idle`
any                    a question of the peer's                    the same, with one more to answer
any                    silence, stream lost, call's deadline       gone; the call fails
=====================  ==========================================  ===============================

What the library knows it answers itself: the menu, some initial peers. Everything else is the node software's.
"""
