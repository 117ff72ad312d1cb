"""What every action makes of every representative state; what is not listed is refused."""

from __future__ import annotations

from typing import Final

EXPECTED: Final[dict[str, dict[str, dict[str, str]]]] = {
    "links": {
        "Dial": {
            "nothing": "dialling: Dial",
            "going away": "dialling: Dial",
        },
        "Disconnect": {
            "arrived": "1 streams, ending: Disconnect",
            "with their stream": "2 streams, ending: Disconnect",
            "going away": "1 streams, ending: Disconnect",
        },
        "Disconnect, the dial": {
            "dialling": "dialling: Disconnect",
        },
        "StreamOpen": {
            "arrived": "2 streams: StreamOpen, Send, StreamEnd",
            "with their stream": "3 streams: StreamOpen, Send, StreamEnd",
        },
        "StreamEnd": {
            "with their stream": "2 streams: StreamEnd",
        },
        "StreamEnd, ours": {
            "arrived": "1 streams: StreamEnd",
            "with their stream": "2 streams: StreamEnd",
            "going away": "1 streams, ending: StreamEnd",
        },
        "StreamReset": {
            "with their stream": "1 streams: StreamReset",
        },
        "StreamTimeout, early": {
            "arrived": "1 streams",
            "with their stream": "2 streams",
            "going away": "1 streams, ending",
        },
        "StreamTimeout, late": {
            "arrived": "0 streams: StreamReset, IdentifyLost",
            "with their stream": "1 streams: StreamReset, IdentifyLost",
            "going away": "0 streams, ending: StreamReset, IdentifyLost",
        },
        "DiallingSet": {
            "nothing": "nothing",
            "dialling": "dialling",
            "arrived": "1 streams",
            "with their stream": "2 streams",
            "going away": "1 streams, ending",
        },
        "HandOver": {
            "nothing": "nothing: RpcFailed",
            "dialling": "dialling: RpcFailed",
            "arrived": "1 streams: RpcFailed",
            "with their stream": "2 streams: RpcFailed",
            "going away": "1 streams, ending: RpcFailed",
        },
        "Keep": {
            "nothing": "nothing",
            "dialling": "dialling",
            "arrived": "1 streams",
            "with their stream": "2 streams",
            "going away": "1 streams, ending",
        },
        "CheckTimeouts": {
            "nothing": "nothing: Keep, KadTick, PubsubHeartbeat",
            "dialling": "dialling: Keep, KadTick, PubsubHeartbeat",
            "arrived": "1 streams: StreamTimeout, Keep, KadTick, PubsubHeartbeat",
            "with their stream": "2 streams: StreamTimeout, StreamTimeout, Keep, KadTick, PubsubHeartbeat",
            "going away": "1 streams, ending: StreamTimeout, Keep, KadTick, PubsubHeartbeat",
        },
        "Listening, elsewhere": {
            "nothing": "nothing",
            "dialling": "dialling",
            "arrived": "1 streams",
            "with their stream": "2 streams",
            "going away": "1 streams, ending",
        },
        "ConnectionOpened, the dial": {
            "dialling": "0 streams: PeerConnected, StreamOpen",
        },
        "ConnectionClosed": {
            "arrived": "nothing: IdentifyLost, PubsubPeerGone, IdentifyPeerGone, KadPeerGone, RpcPeerGone, PeerDisconnected",
            "with their stream": "nothing: IdentifyLost, PubsubPeerGone, IdentifyPeerGone, KadPeerGone, RpcPeerGone, PeerDisconnected",
            "going away": "nothing: IdentifyLost, PubsubPeerGone, IdentifyPeerGone, KadPeerGone, RpcPeerGone, PeerDisconnected",
        },
        "ConnectionClosed, the dial": {
            "dialling": "nothing: DialFailed, KadPeerUnreachable",
        },
        "WentAway": {
            "arrived": "1 streams, ending",
            "with their stream": "2 streams, ending",
            "going away": "1 streams, ending",
        },
        "StreamOpened, ping": {
            "arrived": "2 streams",
            "with their stream": "3 streams",
            "going away": "2 streams, ending",
        },
        "StreamOpened, identify": {
            "arrived": "2 streams: IdentifyRequestReceived",
            "with their stream": "3 streams: IdentifyRequestReceived",
            "going away": "2 streams, ending: IdentifyRequestReceived",
        },
        "StreamOpened, unknown": {
            "arrived": "1 streams: StreamReset",
            "with their stream": "2 streams: StreamReset",
            "going away": "1 streams, ending: StreamReset",
        },
        "StreamMessage, ping": {
            "with their stream": "2 streams: Send",
        },
        "StreamMessage, long ping": {
            "with their stream": "2 streams: StreamReset",
        },
        "StreamEnded": {
            "with their stream": "2 streams: StreamEnd",
        },
        "StreamLost, identify": {
            "arrived": "0 streams: IdentifyLost",
            "with their stream": "1 streams: IdentifyLost",
            "going away": "0 streams, ending: IdentifyLost",
        },
        "StreamLost": {
            "with their stream": "1 streams",
        },
    },
    "identify": {
        "RequestReceived": {
            "asked": "0 parts: Send, StreamEnd",
            "half answered": "1 parts: Send, StreamEnd",
        },
        "PartReceived": {
            "asked": "1 parts",
            "half answered": "1 parts",
            "known": "6 protocols",
        },
        "Ended": {
            "asked": "0 parts: KadPeerUnreachable",
            "half answered": "6 protocols: PeerIdentified, KadPeerIdentified, PubsubPeerIdentified",
            "known": "6 protocols",
        },
        "Lost": {
            "nothing": "0 parts",
            "asked": "0 parts: KadPeerUnreachable",
            "half answered": "0 parts: KadPeerUnreachable",
            "known": "6 protocols",
        },
        "Lost, a push": {
            "nothing": "0 parts",
            "asked": "0 parts",
            "half answered": "0 parts",
            "known": "6 protocols",
        },
        "Push": {
            "known": "6 protocols: StreamOpen",
        },
        "PeerGone": {
            "nothing": "0 parts",
            "asked": "0 parts",
            "half answered": "1 parts",
            "known": "0 parts",
        },
    },
    "kademlia": {
        "LookupStart": {
            "nothing": "nothing, 1 look-ups, 0 known: KadLookupStep",
            "dialling": "Connecting, 2 look-ups, 0 known: KadLookupStep",
            "identifying": "Connecting, 2 look-ups, 0 known: KadLookupStep",
            "asked": "Asked, 4 look-ups, 1 known: KadLookupStep",
            "idle": "nothing, 1 look-ups, 1 known: KadLookupStep",
        },
        "Advertise": {
            "nothing": "nothing, 0 look-ups, 0 known: KadTick",
            "dialling": "Connecting, 1 look-ups, 0 known: KadTick",
            "identifying": "Connecting, 1 look-ups, 0 known: KadTick",
            "asked": "Asked, 3 look-ups, 1 known: KadTick",
            "idle": "nothing, 0 look-ups, 1 known: KadTick",
        },
        "LookupStep": {
            "dialling": "Connecting, 1 look-ups, 0 known",
            "identifying": "Connecting, 1 look-ups, 0 known",
            "asked": "Asked, 3 look-ups, 1 known",
        },
        "RequestSend": {
            "dialling": "Connecting, 1 look-ups, 0 known: KadRequestError",
            "identifying": "Connecting, 1 look-ups, 0 known: KadRequestError",
        },
        "ResponseReceived": {
            "asked": "Asked, 3 look-ups, 1 known: StreamEnd, KadLookupStep",
        },
        "ResponseReceived, undecodable": {
            "asked": "Asked, 3 look-ups, 1 known: KadRequestError, Disconnect",
        },
        "RequestError": {
            "dialling": "nothing, 1 look-ups, 0 known: KadLookupStep",
            "identifying": "nothing, 1 look-ups, 0 known: KadLookupStep",
            "asked": "Asked, 3 look-ups, 0 known: KadLookupStep",
        },
        "RequestReceived": {
            "identifying": "Connecting, 1 look-ups, 0 known: StreamReset",
        },
        "AddProviderReceived": {
            "identifying": "Connecting, 1 look-ups, 0 known",
            "asked": "Asked, 3 look-ups, 1 known",
        },
        "PeerIdentified": {
            "asked": "Asked, 3 look-ups, 1 known",
        },
        "PeerUnreachable": {
            "nothing": "nothing, 0 look-ups, 0 known",
            "dialling": "Connecting, 1 look-ups, 0 known: KadRequestError",
            "identifying": "Connecting, 1 look-ups, 0 known: KadRequestError",
            "asked": "Asked, 3 look-ups, 1 known",
            "idle": "nothing, 0 look-ups, 1 known",
        },
        "PeerGone": {
            "nothing": "nothing, 0 look-ups, 0 known",
            "dialling": "Connecting, 1 look-ups, 0 known: KadRequestError",
            "identifying": "Connecting, 1 look-ups, 0 known: KadRequestError",
            "asked": "Asked, 3 look-ups, 1 known",
            "idle": "nothing, 0 look-ups, 1 known",
        },
        "Tick, early": {
            "nothing": "nothing, 0 look-ups, 0 known",
            "dialling": "Connecting, 1 look-ups, 0 known",
            "identifying": "Connecting, 1 look-ups, 0 known",
            "asked": "Asked, 3 look-ups, 1 known",
            "idle": "nothing, 0 look-ups, 1 known",
        },
        "Tick, late": {
            "nothing": "nothing, 0 look-ups, 0 known",
            "dialling": "Connecting, 1 look-ups, 0 known",
            "identifying": "Connecting, 1 look-ups, 0 known",
            "asked": "Asked, 3 look-ups, 1 known: KadLookupStart, KadLookupStart",
            "idle": "nothing, 0 look-ups, 1 known: KadLookupStart, KadLookupStart",
        },
    },
    "gossipsub": {
        "Subscribe": {
            "not subscribed": "mesh 0",
        },
        "Unsubscribe": {
            "nobody": "nothing",
            "opening": "nothing",
            "subscriber": "nothing: Send",
            "in the mesh": "nothing: Send, Send",
            "signing": "nothing, signing: Send, Send",
            "verifying": "nothing, verifying: Send",
            "validating": "nothing, validating: Send",
        },
        "Publish": {
            "not subscribed": "nothing, signing: PubsubEffectfulSign",
            "nobody": "mesh 0, signing: PubsubEffectfulSign",
            "opening": "mesh 0, signing: PubsubEffectfulSign",
            "subscriber": "mesh 0, signing: PubsubEffectfulSign",
            "in the mesh": "mesh 1, signing: PubsubEffectfulSign",
            "signing": "mesh 1, signing: PubsubEffectfulSign",
            "verifying": "mesh 0, signing, verifying: PubsubEffectfulSign",
            "validating": "mesh 0, signing, validating: PubsubEffectfulSign",
        },
        "Signed": {
            "signing": "mesh 1, 1 cached: Send, PubsubPublished",
        },
        "Verified": {
            "verifying": "mesh 0, validating: PubsubMessageReceived",
        },
        "Verified, forged": {
            "verifying": "mesh 0",
        },
        "Verdict, accept": {
            "validating": "mesh 0, 1 cached",
        },
        "Verdict, reject": {
            "validating": "mesh 0",
        },
        "PeerIdentified": {
            "opening": "mesh 0",
            "subscriber": "mesh 0",
            "in the mesh": "mesh 1",
            "signing": "mesh 1, signing",
            "verifying": "mesh 0, verifying",
            "validating": "mesh 0, validating",
        },
        "StreamReady": {
            "opening": "mesh 0",
            "subscriber": "mesh 0",
            "in the mesh": "mesh 1",
            "signing": "mesh 1, signing",
            "verifying": "mesh 0, verifying",
            "validating": "mesh 0, validating",
        },
        "StreamGone": {
            "opening": "mesh 0",
            "subscriber": "mesh 0",
            "in the mesh": "mesh 0",
            "signing": "mesh 0, signing",
            "verifying": "mesh 0, verifying",
            "validating": "mesh 0, validating",
        },
        "StreamGone, another": {
            "opening": "mesh 0",
            "subscriber": "mesh 0",
            "in the mesh": "mesh 1",
            "signing": "mesh 1, signing",
            "verifying": "mesh 0, verifying",
            "validating": "mesh 0, validating",
        },
        "PeerGone": {
            "opening": "mesh 0",
            "subscriber": "mesh 0",
            "in the mesh": "mesh 0",
            "signing": "mesh 0, signing",
            "verifying": "mesh 0, verifying",
            "validating": "mesh 0, validating",
        },
        "RpcReceived": {
            "opening": "mesh 0, verifying: PubsubEffectfulVerify",
            "subscriber": "mesh 0, verifying: PubsubEffectfulVerify",
            "in the mesh": "mesh 1, verifying: PubsubEffectfulVerify",
            "signing": "mesh 1, signing, verifying: PubsubEffectfulVerify",
            "verifying": "mesh 0, verifying: PubsubEffectfulVerify",
            "validating": "mesh 0, verifying, validating: PubsubEffectfulVerify",
        },
        "RpcReceived, undecodable": {
            "opening": "mesh 0: Disconnect",
            "subscriber": "mesh 0: Disconnect",
            "in the mesh": "mesh 1: Disconnect",
            "signing": "mesh 1, signing: Disconnect",
            "verifying": "mesh 0, verifying: Disconnect",
            "validating": "mesh 0, validating: Disconnect",
        },
        "Heartbeat": {
            "not subscribed": "nothing",
            "nobody": "mesh 0",
            "opening": "mesh 0",
            "subscriber": "mesh 1: Send",
            "in the mesh": "mesh 1",
            "signing": "mesh 1, signing",
            "verifying": "mesh 1, verifying: Send",
            "validating": "mesh 1, validating: Send",
        },
    },
    "rpc": {
        "Call": {
            "nothing asked": "no session, 1 calls: RpcCallStart",
            "opening": "no session, 2 calls: RpcCallStart",
            "greeting": "Greeting, 2 calls: RpcCallStart",
            "asking the menu": "AskingMenu, 2 calls: RpcCallStart",
            "asking": "Asking, 2 calls: RpcCallStart",
            "idle": "Idle, 1 calls: RpcCallStart",
            "asked by the peer": "Idle, serving, 1 calls: RpcCallStart",
        },
        "CallStart": {
            "opening": "no session, 1 calls: StreamOpen | RpcCallError",
            "greeting": "Greeting, 1 calls: StreamOpen | RpcCallError",
            "asking the menu": "AskingMenu, 1 calls: StreamOpen | RpcCallError",
            "asking": "Asking, 1 calls: StreamOpen | RpcCallError",
        },
        "CallError": {
            "opening": "no session, 0 calls: RpcFailed",
            "greeting": "no session, 0 calls: RpcFailed, StreamReset",
            "asking the menu": "no session, 0 calls: RpcFailed, StreamReset",
            "asking": "no session, 0 calls: RpcFailed, StreamReset",
        },
        "SessionOpened": {
            "nothing asked": "Greeting, 0 calls: Send",
            "opening": "Greeting, 1 calls: Send",
        },
        "MessageReceived, greeting": {
            "greeting": "AskingMenu, 1 calls: Send, Send",
            "asking the menu": "AskingMenu, 1 calls: Disconnect",
            "asking": "Asking, 1 calls: Disconnect",
            "idle": "Idle, 0 calls: Disconnect",
            "asked by the peer": "Idle, serving, 0 calls: Disconnect",
        },
        "MessageReceived, heartbeat": {
            "greeting": "Greeting, 1 calls: Disconnect",
            "asking the menu": "AskingMenu, 1 calls",
            "asking": "Asking, 1 calls",
            "idle": "Idle, 0 calls",
            "asked by the peer": "Idle, serving, 0 calls",
        },
        "MessageReceived, question": {
            "greeting": "Greeting, 1 calls: Disconnect",
            "asking the menu": "AskingMenu, serving, 1 calls: RpcRequested",
            "asking": "Asking, serving, 1 calls: RpcRequested",
            "idle": "Idle, serving, 0 calls: RpcRequested",
            "asked by the peer": "Idle, serving, 0 calls: RpcRequested",
        },
        "MessageReceived, the menu": {
            "greeting": "Greeting, 1 calls: Disconnect",
            "asking the menu": "Asking, 1 calls: Send",
            "asking": "Asking, 1 calls: Disconnect",
            "idle": "Idle, 0 calls: Disconnect",
            "asked by the peer": "Idle, serving, 0 calls: Disconnect",
        },
        "MessageReceived, the answer": {
            "greeting": "Greeting, 1 calls: Disconnect",
            "asking the menu": "AskingMenu, 1 calls: Disconnect",
            "asking": "Idle, 0 calls: RpcResponded",
            "idle": "Idle, 0 calls: Disconnect",
            "asked by the peer": "Idle, serving, 0 calls: Disconnect",
        },
        "MessageReceived, an error": {
            "greeting": "Greeting, 1 calls: Disconnect",
            "asking the menu": "AskingMenu, 1 calls: Disconnect",
            "asking": "no session, 1 calls: RpcCallError, StreamReset",
            "idle": "Idle, 0 calls: Disconnect",
            "asked by the peer": "Idle, serving, 0 calls: Disconnect",
        },
        "MessageReceived, undecodable": {
            "greeting": "Greeting, 1 calls: Disconnect",
            "asking the menu": "AskingMenu, 1 calls: Disconnect",
            "asking": "Asking, 1 calls: Disconnect",
            "idle": "Idle, 0 calls: Disconnect",
            "asked by the peer": "Idle, serving, 0 calls: Disconnect",
        },
        "SessionEnded": {
            "greeting": "no session, 1 calls: StreamEnd, RpcCallError",
            "asking the menu": "no session, 1 calls: StreamEnd, RpcCallError",
            "asking": "no session, 1 calls: StreamEnd, RpcCallError",
            "idle": "no session, 0 calls: StreamEnd",
            "asked by the peer": "Idle, serving, 0 calls",
        },
        "SessionGone": {
            "nobody": "no session, 0 calls: RpcCallError",
            "nothing asked": "no session, 0 calls: RpcCallError",
            "opening": "no session, 1 calls: RpcCallError",
            "greeting": "no session, 1 calls: RpcCallError",
            "asking the menu": "no session, 1 calls: RpcCallError",
            "asking": "no session, 1 calls: RpcCallError",
            "idle": "no session, 0 calls",
            "asked by the peer": "no session, 0 calls",
        },
        "SessionTimeout": {
            "asking the menu": "AskingMenu, 1 calls: Send",
            "asking": "Asking, 1 calls: Send",
            "idle": "Idle, 0 calls: Send",
            "asked by the peer": "Idle, serving, 0 calls: Send",
        },
        "SessionTimeout, silent": {
            "greeting": "no session, 1 calls: StreamReset, RpcCallError",
            "asking the menu": "no session, 1 calls: StreamReset, RpcCallError",
            "asking": "no session, 1 calls: StreamReset, RpcCallError",
            "idle": "no session, 0 calls: StreamReset",
            "asked by the peer": "no session, 0 calls: StreamReset",
        },
        "Answer": {
            "asked by the peer": "Idle, 0 calls: Send",
        },
        "Refuse": {
            "asked by the peer": "Idle, 0 calls: Send",
        },
        "PeerGone": {
            "nobody": "no session, 0 calls",
            "nothing asked": "no session, 0 calls",
            "opening": "no session, 1 calls: RpcCallError",
            "greeting": "Greeting, 1 calls: RpcCallError",
            "asking the menu": "AskingMenu, 1 calls: RpcCallError",
            "asking": "Asking, 1 calls: RpcCallError",
            "idle": "Idle, 0 calls",
            "asked by the peer": "Idle, serving, 0 calls",
        },
    },
}
