// Mina's RPC over libp2p, both sides of it, as OCaml nodes speak it: messages of Jane Street's async RPC behind
// their length in eight bytes, little-endian. Payloads are bytes that nobody here looks into. Ways to misbehave are
// those of the Go node (../go/rpc.go), by the same names.
//
// Source: spec libp2p 10.

import { readFile } from 'node:fs/promises'
import { peerIdFromString } from '@libp2p/peer-id'

const RPCS = 'coda/rpcs/0.0.1'
const MENU = '__Versioned_rpc.Menu'
const MAGIC = 0x00435052
const HEARTBEAT_MS = 10_000
const MESSAGE_MAX = 64 * 1024 * 1024

// --- bin_prot

const bytes = (...numbers) => Buffer.from(numbers)

const written = (tag, size, put) => {
  const buffer = Buffer.alloc(1 + size)
  buffer[0] = tag
  put(buffer)
  return buffer
}

const nat0 = (value) => {
  if (value < 0x80) return bytes(value)
  if (value <= 0xffff) return written(0xfe, 2, (buffer) => buffer.writeUInt16LE(value, 1))
  return written(0xfd, 4, (buffer) => buffer.writeUInt32LE(value, 1))
}

const int = (value) => {
  if (value >= 0 && value < 0x80) return bytes(value)
  if (value >= -0x80 && value < 0) return written(0xff, 1, (buffer) => buffer.writeInt8(value, 1))
  if (value >= -0x8000 && value < 0x8000) return written(0xfe, 2, (buffer) => buffer.writeInt16LE(value, 1))
  return written(0xfd, 4, (buffer) => buffer.writeInt32LE(value, 1))
}

const text = (value) => Buffer.concat([nat0(value.length), Buffer.from(value)])

class Reader {
  constructor (data) {
    this.data = data
    this.at = 0
  }

  take (count) {
    if (this.at + count > this.data.length) throw new Error('the message is too short')
    this.at += count
    return this.data.subarray(this.at - count, this.at)
  }

  number (signed) {
    const first = this.take(1)[0]
    if (first < 0x80) return first
    if (first === 0xff && signed) return this.take(1).readInt8()
    if (first === 0xfe) return signed ? this.take(2).readInt16LE() : this.take(2).readUInt16LE()
    if (first === 0xfd) return signed ? this.take(4).readInt32LE() : this.take(4).readUInt32LE()
    if (first === 0xfc) return Number(signed ? this.take(8).readBigInt64LE() : this.take(8).readBigUInt64LE())
    throw new Error(`no number begins with ${first}`)
  }

  int () { return this.number(true) }
  nat0 () { return this.number(false) }
  string () { return this.take(this.nat0()) }
}

const GREETING = Buffer.concat([nat0(2), int(MAGIC), int(1)])

const checkGreeting = (message) => {
  const reader = new Reader(message)
  const numbers = Array.from({ length: reader.nat0() }, () => reader.int())
  if (numbers[0] !== MAGIC || !numbers.slice(1).includes(1)) throw new Error('no greeting of this protocol')
}

const ok = (id, data) => Buffer.concat([bytes(2), int(id), bytes(0), text(data)])

const failed = (id, kind, ...rest) => Buffer.concat([bytes(2), int(id), bytes(1, kind), ...rest])

// The tag of the polymorphic variant `Version` stands before the version.
const unimplemented = (id, tag, version) => failed(id, 4, text(tag), bytes(0xf1, 0x1d, 0x86, 0x94), int(version))

const eightBytes = (number) => {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(BigInt(number))
  return buffer
}

const framed = (message) => Buffer.concat([eightBytes(message.length), message])

// What is done in place of the answer `data` by a peer that is asked (../go/rpc.go, served.how).
const misbehaviours = {
  silent: () => {},
  reset: (session) => session.stream.abort(new Error('enough')),
  half: (session, id, data) => {
    const message = framed(ok(id, data))
    session.stream.send(message.subarray(0, message.length / 2))
    session.stream.close()
  },
  failed: (session, id) => session.send(failed(id, 3, bytes(0), text('it did not work'))),
  unknown: (session, id, _data, tag, version) => session.send(unimplemented(id, tag, version)),
  stranger: (session, id, data) => session.send(ok(id + 1, data)),
  nonsense: (session) => session.send(bytes(9, 9, 9)),
  oversized: (session) => session.stream.send(eightBytes(2 ** 40))
}

async function * messages (stream) {
  let held = Buffer.alloc(0)
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk.subarray()])
    while (held.length >= 8) {
      const length = Number(held.readBigUInt64LE())
      if (length > MESSAGE_MAX) throw new Error(`a message of ${length} bytes`)
      if (held.length < 8 + length) break
      yield held.subarray(8, 8 + length)
      held = held.subarray(8 + length)
    }
  }
}

const payload = async ({ file, data }) => file ? await readFile(file) : Buffer.from(data ?? '', 'hex')

// One stream; both sides may ask on it.
class Session {
  constructor (stream, peer, isOurs, served, say) {
    Object.assign(this, { stream, peer, isOurs, served, say })
    this.waiting = new Map()
    this.greeted = new Promise((resolve) => { this.greet = resolve })
    this.send(GREETING)
    this.run().catch((error) => error).then((error) => {
      clearInterval(this.beating)
      for (const answer of this.waiting.values()) answer({ failed: 'session' })
      say({ event: 'rpc ended', peer, is_ours: isOurs, reason: String(error) })
    })
  }

  send (message) { this.stream.send(framed(message)) }

  async run () {
    let beats = -1
    try {
      for await (const message of messages(this.stream)) {
        const reader = new Reader(message)
        if (beats < 0) {
          checkGreeting(message)
          beats = 0
          this.send(bytes(0))
          this.beating = setInterval(() => this.send(bytes(0)), HEARTBEAT_MS)
          this.greet()
          continue
        }
        const tag = reader.take(1)[0]
        if (tag === 0) this.say({ event: 'rpc heartbeat', peer: this.peer, is_ours: this.isOurs, count: ++beats })
        else if (tag === 1) this.asked(reader)
        else if (tag === 2) this.answered(reader)
        else throw new Error(`no message begins with ${tag}`)
      }
    } catch (error) {
      this.stream.abort(error)
      throw error
    }
  }

  asked (reader) {
    const [tag, version, id, data] = [reader.string().toString(), reader.int(), reader.int(), reader.string()]
    this.say({ event: 'rpc asked', peer: this.peer, tag, version, data: data.toString('hex') })
    const methods = [...this.served.keys()].sort().map((key) => JSON.parse(key))
    const known = this.served.get(JSON.stringify([tag, version]))
    if (tag === MENU && version === 1) {
      this.send(ok(id, Buffer.concat([nat0(methods.length), ...methods.flatMap(([name, number]) => [text(name), int(number)])])))
    } else if (known === undefined) {
      this.send(unimplemented(id, tag, version))
    } else if (known.how) {
      misbehaviours[known.how](this, id, known.data, tag, version)
    } else {
      this.send(ok(id, known.data))
    }
  }

  answered (reader) {
    const id = reader.int()
    const answer = this.waiting.get(id)
    if (answer === undefined) throw new Error(`an answer to no question, ${id}`)
    this.waiting.delete(id)
    if (reader.take(1)[0] === 0) answer({ data: reader.string().toString('hex') })
    else answer({ failed: ['bin_io', 'connection_closed', 'write', 'uncaught', 'unimplemented', 'unknown_id'][reader.take(1)[0]] })
  }

  async ask (id, tag, version, data) {
    await this.greeted
    const answer = new Promise((resolve) => this.waiting.set(id, resolve))
    this.send(Buffer.concat([bytes(1), text(tag), int(version), int(id), text(data)]))
    return await answer
  }
}

// Sends these bytes on a new stream and tells what messages come until their count is reached or the stream ends.
async function raw (stream, order) {
  const heard = []
  let ended = ''
  try {
    stream.send(await payload(order))
    for await (const message of messages(stream)) {
      heard.push(message.toString('hex'))
      if (heard.length === order.count) break
    }
    if (heard.length < order.count) ended = 'the end'
  } catch (error) {
    ended = String(error)
  }
  if (ended === '') stream.abort(new Error('enough'))
  return { messages: heard, ended }
}

// What the node then obeys: `rpc-serve`, `rpc-ask` and `rpc-raw`, as the Go node does.
export async function rpcCommands (node, say) {
  const served = new Map()
  let queries = 0
  await node.handle(RPCS, (stream, connection) => {
    new Session(stream, connection.remotePeer.toString(), false, served, say)
  }, { maxInboundStreams: 1000, maxOutboundStreams: 1000 })
  return {
    'rpc-serve': async (order) => {
      served.set(JSON.stringify([order.tag, order.version]), { data: await payload(order), how: order.how })
    },
    'rpc-raw': async ({ peer, ...order }) => await raw(await node.dialProtocol(peerIdFromString(peer), RPCS), order),
    'rpc-ask': async ({ peer, tag, version, how, ...order }) => {
      const session = new Session(await node.dialProtocol(peerIdFromString(peer), RPCS), peer, true, served, say)
      if (how !== 'without menu') {
        const menu = await session.ask(++queries, MENU, 1, bytes(0))
        if (menu.data === undefined) return menu
      }
      return await session.ask(++queries, tag, version, await payload(order))
    }
  }
}
