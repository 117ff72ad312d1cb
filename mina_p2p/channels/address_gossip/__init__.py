"""Channel 9: records of addresses, named and fetched by permission (spec: address-gossip 5.2, 5.3).

| our side of a link | event | next | what follows |
|---|---|---|---|
| Resting | its time, and all that was named is decided | Granted | ``GetNext`` on a new stream |
| Granted | ``Adverts``, no more than permitted | Resting | what is wanted is fetched |
| Granted | nobody used it for long; the peer gave the stream up | Resting | it is withdrawn |
| Granted | its stream ends without ``Adverts`` | | violation |
| no fetch | something is wanted that the peer named | Fetching | ``GetRecords`` on a new stream |
| Fetching | ``Records``, one for each that was asked | no fetch | each is checked (`mina_p2p.discovery.admission`) |
| Fetching | no answer in time, or the stream was given up | no fetch | other holders are asked |
| a check | no word of the runtime in time; the peer went | | other holders are asked |

| the peer's side | event | next | what follows |
|---|---|---|---|
| nothing permitted | ``GetNext`` | Permitted | what it was told before and did not fetch it has; our own record is named first |
| Permitted | something to name, for a moment | nothing permitted | ``Adverts``, and the end of the stream |
| Permitted | the peer withdraws it, or permits anew on a newer stream | nothing permitted, Permitted | |
| Permitted | ``GetNext`` on an older stream, which was overtaken | Permitted | it is reset |
| | ``GetRecords`` for what was named, and not too often | | ``Records`` |

A permission is parked until there is something to say, so that news travel as if they were pushed, and nobody is sent what it did
not ask for. The slice's own actions are ``AddressGossip...``; it asks the runtime for signatures and their checks
(`AddressGossipEffectfulSign`, `AddressGossipEffectfulVerify`).
"""
