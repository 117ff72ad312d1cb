// A go-libp2p node for the interop tests, configured as OCaml nodes configure theirs and
// driven by lines of JSON: one command on stdin, one answer with the same id on stdout.
// What happens by itself is a line with "event".
//
// It is built twice: with go.mod, today's libraries, and with ocaml.mod, those that OCaml nodes have,
// which need Go 1.19. So it is written in the Go that both understand.
//
// Source of the configuration and of the old versions: spec libp2p 0, 3 to 9 and 11.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p-kad-dht/dual"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pubsubpb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/discovery/routing"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"golang.org/x/crypto/blake2b"
)

const (
	muxer      = "/coda/yamux/1.0.0"
	echo       = protocol.ID("/test/echo/1.0.0")
	messageMax = 32 << 20
	patience   = 60 * time.Second
)

type command struct {
	ID       int    `json:"id"`
	Do       string `json:"do"`
	Addr     string `json:"addr"`
	Peer     string `json:"peer"`
	Bytes    int    `json:"bytes"`
	Count    int    `json:"count"`
	Topic    string `json:"topic"`
	Data     string `json:"data"`
	Protocol string `json:"protocol"`
	Tag      string `json:"tag"`
	Version  int    `json:"version"`
	File     string `json:"file"`
	How      string `json:"how"`
}

type answer map[string]any

var output sync.Mutex

func say(line answer) {
	output.Lock()
	defer output.Unlock()
	encoded, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(encoded))
}

type node struct {
	host   host.Host
	dht    *dual.DHT
	pubsub *pubsub.PubSub
	topics map[string]*pubsub.Topic
	lock   sync.Mutex
	// Of RPC: what is served, and the sessions that peers opened last, by peer.
	served  map[method]served
	theirs  map[string]*session
	noMenu  bool
	queries int64
}

func main() {
	psk := flag.String("psk", "", "pre-shared key of the private network, 64 hex digits; empty for none")
	seed := flag.String("seed", "", "ed25519 seed, 64 hex digits")
	exchange := flag.Bool("peer-exchange", false, "name other peers in PRUNE, as with OCaml's --enable-peer-exchange")
	degree := flag.Int("mesh-max", pubsub.GossipSubDhi, "peers of a mesh over which others are pruned")
	flag.Parse()
	node, err := start(*psk, *seed, *exchange, *degree)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	addrs := []string{}
	for _, addr := range node.host.Addrs() {
		addrs = append(addrs, addr.String())
	}
	say(answer{"event": "ready", "peer_id": node.host.ID().String(), "addrs": addrs})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var order command // of this turn: Go before 1.22 shares a loop's own variables
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			result, err := node.obey(ctx, order)
			if err != nil {
				result = answer{"error": err.Error()}
			} else if result == nil {
				result = answer{}
			}
			result["id"] = order.ID
			say(result)
		}()
	}
	_ = node.host.Close()
}

func start(psk string, seed string, exchange bool, degree int) (*node, error) {
	raw, err := hex.DecodeString(seed)
	if err != nil || len(raw) != ed25519.SeedSize {
		return nil, errors.New("--seed needs 64 hex digits")
	}
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(raw))
	if err != nil {
		return nil, err
	}
	options := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(muxer, yamux.DefaultTransport),
		libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.UserAgent("github.com/codaprotocol/coda/tree/master/src/app/libp2p_helper"),
		libp2p.ProtocolVersion("ipfs/0.1.0"),
	}
	if psk != "" {
		key, err := hex.DecodeString(psk)
		if err != nil {
			return nil, err
		}
		options = append(options, libp2p.PrivateNetwork(key))
	}
	made, err := libp2p.New(options...)
	if err != nil {
		return nil, err
	}
	made.SetStreamHandler(echo, func(stream network.Stream) {
		if _, err := io.Copy(stream, stream); err != nil {
			_ = stream.Reset()
			return
		}
		_ = stream.Close()
	})
	made.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, conn network.Conn) {
			say(answer{"event": "connected", "peer_id": conn.RemotePeer().String(), "direction": conn.Stat().Direction.String(), "muxer": string(conn.ConnState().StreamMultiplexer), "early_muxer": conn.ConnState().UsedEarlyMuxerNegotiation})
		},
		DisconnectedF: func(_ network.Network, conn network.Conn) {
			say(answer{"event": "disconnected", "peer_id": conn.RemotePeer().String()})
		},
	})
	// Both tables answer under /coda/kad/1.0.0, because the prefix is set after the local table's own.
	table, err := dual.New(context.Background(), made, dual.DHTOption(dhtOptions...))
	if err != nil {
		return nil, err
	}
	gossip, err := pubsub.NewGossipSub(context.Background(), made,
		pubsub.WithMaxMessageSize(messageMax),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		pubsub.WithPeerExchange(exchange),
		pubsub.WithGossipSubParams(meshOf(degree)),
		pubsub.WithGossipSubProtocols([]protocol.ID{pubsub.GossipSubID_v11, pubsub.GossipSubID_v10, pubsub.FloodSubID}, pubsub.GossipSubDefaultFeatures),
	)
	if err != nil {
		return nil, err
	}
	started := &node{host: made, dht: table, pubsub: gossip, topics: map[string]*pubsub.Topic{}, served: map[method]served{}, theirs: map[string]*session{}}
	made.SetStreamHandler(rpcs, func(stream network.Stream) { started.session(stream, false) })
	return started, nil
}

// meshOf gives the usual parameters, or those of a mesh that is as small.
func meshOf(most int) pubsub.GossipSubParams {
	params := pubsub.DefaultGossipSubParams()
	if most < params.Dhi {
		params.D, params.Dlo, params.Dhi, params.Dscore, params.Dout = most, 1, most, most, 0
	}
	return params
}

// messageID is BLAKE2b-256 of the data, keyed with the topic.
func messageID(message *pubsubpb.Message) string {
	key := []byte(message.GetTopic())
	if len(key) > blake2b.Size {
		digest := blake2b.Sum256(key)
		key = digest[:]
	}
	digest, err := blake2b.New256(key)
	if err != nil {
		panic(err)
	}
	digest.Write(message.Data)
	return string(digest.Sum(nil))
}

func (n *node) obey(ctx context.Context, order command) (answer, error) {
	switch order.Do {
	case "connect":
		info, err := peer.AddrInfoFromString(order.Addr)
		if err != nil {
			return nil, err
		}
		return nil, n.host.Connect(ctx, *info)
	case "subscribe":
		return nil, n.subscribe(order.Topic)
	case "publish":
		data, err := hex.DecodeString(order.Data)
		if err != nil {
			return nil, err
		}
		return nil, n.topics[order.Topic].Publish(ctx, data)
	case "table":
		ids := []string{}
		for _, id := range n.dht.LAN.RoutingTable().ListPeers() {
			ids = append(ids, id.String())
		}
		return answer{"peers": ids}, nil
	case "peers":
		ids := []string{}
		for _, id := range n.host.Network().Peers() {
			ids = append(ids, id.String())
		}
		return answer{"peers": ids}, nil
	case "bootstrap":
		return nil, n.dht.Bootstrap(ctx)
	case "advertise":
		_, err := routing.NewRoutingDiscovery(n.dht).Advertise(ctx, order.Topic)
		return nil, err
	case "discover":
		return n.discover(ctx, order.Topic)
	case "rpc-serve":
		return nil, n.rpcServe(order)
	}
	id, err := peer.Decode(order.Peer)
	if err != nil {
		return nil, err
	}
	switch order.Do {
	case "disconnect":
		return nil, n.host.Network().ClosePeer(id)
	case "ping":
		result := <-ping.Ping(ctx, n.host, id)
		return answer{"rtt_ns": result.RTT.Nanoseconds()}, result.Error
	case "protocols":
		known, err := n.host.Peerstore().GetProtocols(id)
		return answer{"protocols": known}, err
	case "open":
		stream, err := n.host.NewStream(ctx, id, protocol.ID(order.Protocol))
		if err != nil {
			return nil, err
		}
		return nil, stream.Reset()
	case "read":
		return n.read(ctx, id, protocol.ID(order.Protocol))
	case "rpc-ask":
		return n.rpcAsk(ctx, id, order)
	case "rpc-raw":
		return n.rpcRaw(ctx, id, order)
	case "echo":
		return nil, n.echo(ctx, id, order.Count, order.Bytes)
	case "find":
		found, err := n.dht.FindPeer(ctx, id)
		addrs := []string{}
		for _, addr := range found.Addrs {
			addrs = append(addrs, addr.String())
		}
		return answer{"addrs": addrs}, err
	}
	return nil, fmt.Errorf("unknown command %q", order.Do)
}

// read opens a stream and takes what the other side writes until it ends, as the helper reads a node's status.
func (n *node) read(ctx context.Context, id peer.ID, name protocol.ID) (answer, error) {
	stream, err := n.host.NewStream(ctx, id, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(stream, 1<<20))
	_ = stream.Close()
	return answer{"data": hex.EncodeToString(data)}, err
}

// discover connects to everybody who advertises the rendezvous, as the helper does below its low water mark.
func (n *node) discover(ctx context.Context, rendezvous string) (answer, error) {
	found, err := routing.NewRoutingDiscovery(n.dht).FindPeers(ctx, rendezvous)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for info := range found {
		if info.ID == n.host.ID() || len(info.Addrs) == 0 {
			continue
		}
		ids = append(ids, info.ID.String())
		if err := n.host.Connect(ctx, info); err != nil {
			say(answer{"event": "dial failed", "peer_id": info.ID.String(), "reason": err.Error()})
		}
	}
	return answer{"peers": ids}, nil
}

// echo sends size bytes on each of count streams at once and expects them back.
func (n *node) echo(ctx context.Context, id peer.ID, count int, size int) error {
	results := make(chan error, count)
	for i := 0; i < count; i++ {
		go func(start byte) { results <- n.echoOne(ctx, id, start, size) }(byte(i))
	}
	for i := 0; i < count; i++ {
		if err := <-results; err != nil {
			return err
		}
	}
	return nil
}

func (n *node) echoOne(ctx context.Context, id peer.ID, start byte, size int) error {
	stream, err := n.host.NewStream(ctx, id, echo)
	if err != nil {
		return err
	}
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = start + byte(i*i>>3)
	}
	written := make(chan error, 1)
	go func() {
		if _, err := stream.Write(sent); err != nil {
			written <- err
			return
		}
		written <- stream.CloseWrite()
	}()
	received, err := io.ReadAll(stream)
	if err != nil {
		return err
	}
	if err := <-written; err != nil {
		return err
	}
	if !bytes.Equal(sent, received) {
		return fmt.Errorf("sent %d bytes, received %d others", len(sent), len(received))
	}
	return stream.Close()
}

func (n *node) subscribe(name string) error {
	topic, err := n.pubsub.Join(name)
	if err != nil {
		return err
	}
	n.topics[name] = topic
	subscription, err := topic.Subscribe()
	if err != nil {
		return err
	}
	go func() {
		for {
			message, err := subscription.Next(context.Background())
			if err != nil {
				return
			}
			say(answer{"event": "message", "topic": name, "data": hex.EncodeToString(message.Data), "from": message.GetFrom().String(), "message_id": hex.EncodeToString([]byte(message.ID))})
		}
	}()
	return nil
}
