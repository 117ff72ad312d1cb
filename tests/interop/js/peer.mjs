// A js-libp2p node for the interop tests, driven by lines of JSON as the one in ../go/main.go is:
// one command on stdin, one answer with the same id on stdout, lines with "event" for the rest.
//
// Source of the configuration: spec libp2p 13.

import './with-resolvers.mjs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { blake2b } from '@noble/hashes/blake2.js'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { rpcCommands } from './rpc.mjs'

const MUXER = '/coda/yamux/1.0.0'
const ECHO = '/test/echo/1.0.0'

const { values: options } = parseArgs({ options: { psk: { type: 'string', default: '' }, seed: { type: 'string' } } })

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')

// js-libp2p has the muxer's id as a constant of the instance.
const minaYamux = () => (components) => {
  const muxer = yamux()(components)
  Object.defineProperty(muxer, 'protocol', { value: MUXER })
  return muxer
}

const utf8 = (text) => new TextEncoder().encode(text)

// BLAKE2b-256 of the data, keyed with the topic: the same bytes have the same id, whoever sends them.
const messageId = ({ topic, data }) => {
  const key = utf8(topic)
  return blake2b(data, { dkLen: 32, key: key.length > 64 ? blake2b(key, { dkLen: 32 }) : key })
}

const rendezvousCid = async (rendezvous) => CID.createV1(raw.code, await sha256.digest(utf8(rendezvous)))

const swarmKey = () => utf8(`/key/swarm/psk/1.0.0/\n/base16/\n${options.psk}`)

const node = await createLibp2p({
  privateKey: await generateKeyPairFromSeed('Ed25519', Buffer.from(options.seed, 'hex')),
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [minaYamux()],
  ...(options.psk !== '' ? { connectionProtector: preSharedKey({ psk: swarmKey() }) } : {}),
  connectionGater: { denyDialMultiaddr: () => false },
  // A test may come back more often in a second than js-libp2p takes by itself.
  connectionManager: { inboundConnectionThreshold: 1000 },
  services: {
    identify: identify(),
    ping: ping(),
    dht: kadDHT({ protocol: '/coda/kad/1.0.0', clientMode: false, peerInfoMapper: (info) => info }),
    pubsub: gossipsub({
      allowPublishToZeroTopicPeers: true,
      globalSignaturePolicy: 'StrictSign',
      msgIdFn: messageId,
      protocols: ['/meshsub/1.1.0', '/meshsub/1.0.0']
    })
  }
})

await node.handle(ECHO, async (stream) => {
  try {
    for await (const chunk of stream) {
      if (!stream.send(chunk)) await stream.onDrain()
    }
    await stream.close()
  } catch (error) {
    stream.abort(error)
  }
}, { maxInboundStreams: 1000, maxOutboundStreams: 1000 })

node.addEventListener('connection:open', ({ detail }) => {
  const direction = detail.direction === 'inbound' ? 'Inbound' : 'Outbound'
  say({ event: 'connected', peer_id: detail.remotePeer.toString(), direction })
})
node.addEventListener('connection:close', ({ detail }) => {
  say({ event: 'disconnected', peer_id: detail.remotePeer.toString() })
})

node.services.pubsub.addEventListener('message', ({ detail }) => {
  say({
    event: 'message',
    topic: detail.topic,
    data: Buffer.from(detail.data).toString('hex'),
    from: detail.from?.toString(),
    message_id: Buffer.from(messageId(detail)).toString('hex')
  })
})

const pattern = (start, size) => {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = start + (i % 65521 >> 3)
  return bytes
}

async function echoOne (peer, start, size) {
  const sent = pattern(start, size)
  const stream = await node.dialProtocol(peer, ECHO)
  const writing = (async () => {
    for (let at = 0; at < size; at += 60_000) {
      if (!stream.send(sent.subarray(at, at + 60_000))) await stream.onDrain()
    }
    await stream.close()
  })()
  let received = 0
  for await (const chunk of stream) {
    for (const byte of chunk.subarray()) {
      if (byte !== sent[received++]) throw new Error(`byte ${received - 1} is another one`)
    }
  }
  await writing
  if (received !== size) throw new Error(`sent ${size} bytes, received ${received}`)
}

const commands = {
  connect: async ({ addr }) => { await node.dial(multiaddr(addr)) },
  disconnect: async ({ peer }) => { await node.hangUp(peerIdFromString(peer)) },
  ping: async ({ peer }) => ({ rtt_ns: Math.round(1e6 * await node.services.ping.ping(peerIdFromString(peer))) }),
  protocols: async ({ peer }) => ({ protocols: (await node.peerStore.get(peerIdFromString(peer))).protocols }),
  open: async ({ peer, protocol }) => { (await node.dialProtocol(peerIdFromString(peer), protocol)).abort(new Error('enough')) },
  peers: async () => ({ peers: node.getPeers().map(String) }),
  table: async () => ({ peers: [...node.services.dht.routingTable.kb.toIterable()].map(({ peerId }) => peerId.toString()) }),
  find: async ({ peer }) => ({ addrs: (await node.peerRouting.findPeer(peerIdFromString(peer))).multiaddrs.map(String) }),
  advertise: async ({ topic }) => { await node.contentRouting.provide(await rendezvousCid(topic)) },
  discover: async ({ topic }) => {
    const peers = []
    for await (const { id } of node.contentRouting.findProviders(await rendezvousCid(topic))) {
      if (id.equals(node.peerId)) continue
      peers.push(id.toString())
      await node.dial(id).catch((error) => say({ event: 'dial failed', peer_id: id.toString(), reason: String(error) }))
    }
    return { peers }
  },
  subscribe: async ({ topic }) => { node.services.pubsub.subscribe(topic) },
  publish: async ({ topic, data }) => { await node.services.pubsub.publish(topic, Buffer.from(data, 'hex')) },
  echo: async ({ peer, count, bytes }) => {
    await Promise.all(Array.from({ length: count }, (_, i) => echoOne(peerIdFromString(peer), i & 255, bytes)))
  },
  ...await rpcCommands(node, say)
}

say({ event: 'ready', peer_id: node.peerId.toString(), addrs: node.getMultiaddrs().map(String) })

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  Promise.resolve()
    .then(() => commands[order.do](order))
    .then((result) => say({ id: order.id, ...result }), (error) => say({ id: order.id, error: String(error) }))
}
await node.stop()
process.exit(0)
