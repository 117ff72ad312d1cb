// The step of stores.py through Redux in JavaScript.
//
// One line of JSON in, one out: {"store", "peers", "count"} does `count` more messages in
// that store and answers {"seconds", "messages", "acks", "size"}: CPU seconds of this process,
// and the counters of the state after it. Reducers can not dispatch, so the follow-up is a
// middleware's, which is the idiom.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// The packages are in the folder that this runs in, not beside this file.
const require = createRequire(`${process.cwd()}/`);
const { applyMiddleware, legacy_createStore: createStore } = require("redux");
const { Map } = require("immutable");

const NOW = 1_700_000_000_000;
const MESSAGE_BYTES = 100;

const peerState = (id) => ({
  id,
  conn: { id, size: 0, count: 0, status: "ready", openedAt: 0, closedAt: 0 },
  heardAt: 0,
  acked: 0,
  score: 0,
  source: 0,
});

// How each store keeps its peers; everything else is spread.
const byNumber = (number) => number;
const byText = (number) => `12D3KooWPeer${String(number).padStart(8, "0")}`;
const tables = {
  text: {
    key: byText,
    create: (peers) => Object.fromEntries(Array.from({ length: peers }, (_, id) => [byText(id), peerState(id)])),
    get: (table, id) => table[id],
    set: (table, id, peer) => ({ ...table, [id]: peer }),
    values: (table) => Object.values(table),
  },
  spread: {
    key: byNumber,
    create: (peers) => Object.fromEntries(Array.from({ length: peers }, (_, id) => [id, peerState(id)])),
    get: (table, id) => table[id],
    set: (table, id, peer) => ({ ...table, [id]: peer }),
    values: (table) => Object.values(table),
  },
  immutable: {
    key: byNumber,
    create: (peers) => Map(Array.from({ length: peers }, (_, id) => [id, peerState(id)])),
    get: (table, id) => table.get(id),
    set: (table, id, peer) => table.set(id, peer),
    values: (table) => [...table.values()],
  },
};

const reducer = ({ get, set }) => (state, action) => {
  const { p2p } = state;
  switch (action.type) {
    case "MsgRecv": {
      const peer = get(p2p.peers, action.peer);
      if (peer === undefined || peer.conn.status !== "ready") return state;
      const conn = { ...peer.conn, size: peer.conn.size + action.size, count: peer.conn.count + 1 };
      const peers = set(p2p.peers, action.peer, { ...peer, conn, heardAt: NOW });
      return { ...state, p2p: { ...p2p, peers, size: p2p.size + action.size } };
    }
    case "Ack": {
      const peer = get(p2p.peers, action.peer);
      if (peer === undefined) return state;
      const peers = set(p2p.peers, action.peer, { ...peer, acked: peer.acked + 1 });
      return { ...state, p2p: { ...p2p, peers, acks: p2p.acks + 1 } };
    }
    default:
      return state;
  }
};

const followUp = (store) => (next) => (action) => {
  const before = store.getState();
  const result = next(action);
  if (action.type === "MsgRecv" && store.getState() !== before) store.dispatch({ type: "Ack", peer: action.peer });
  return result;
};

const stores = {};

function start(kind, peers) {
  const table = tables[kind];
  const p2p = { peers: table.create(peers), size: 0, acks: 0, limit: 0 };
  const initial = { clock: 0, p2p, config: 0, pools: 0, tip: 0, dice: 0 };
  return { store: createStore(reducer(table), initial, applyMiddleware(followUp)), sent: 0, table };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { store: kind, peers, count } = JSON.parse(line);
  const running = (stores[`${kind} ${peers}`] ??= start(kind, peers));
  const actions = Array.from({ length: count }, (_, i) => ({
    type: "MsgRecv",
    peer: running.table.key(((running.sent + i) * 7919) % peers),
    size: MESSAGE_BYTES,
  }));
  running.sent += count;
  const { store } = running;
  const before = process.cpuUsage();
  for (const action of actions) store.dispatch(action);
  const spent = process.cpuUsage(before);
  const { p2p } = store.getState();
  const messages = running.table.values(p2p.peers).reduce((sum, peer) => sum + peer.conn.count, 0);
  console.log(JSON.stringify({ seconds: (spent.user + spent.system) / 1e6, messages, acks: p2p.acks, size: p2p.size }));
}
