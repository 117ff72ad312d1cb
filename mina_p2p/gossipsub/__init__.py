"""GossipSub 1.1 as OCaml nodes run it: no peer scores, StrictSign, message ids from topic and data (spec: libp2p 9).

Each side speaks on a stream of its own. A message that arrives goes this way:

* `NetworkPubsubRpcReceived`: what is malformed, of no topic of ours, claims to be ours, or was seen, is dropped;
* `NetworkPubsubEffectfulVerify`: the runtime checks the author's signature, for no secret but time;
* `NetworkPubsubVerified`: only now it is marked as seen, so that a forged copy can not hide the true one;
* `NetworkPubsubMessageReceived`: the node software is asked;
* `NetworkPubsubVerdict`: accepted, it is cached and passed on to the mesh; else dropped.

The signature of our own messages is an effect with an answer: the key is never in the state.
"""
