// Mina's RPC over libp2p, both sides of it, as an OCaml node speaks it: messages of Jane Street's async RPC
// behind their length in eight bytes, little-endian. Payloads are bytes that nobody here looks into.
//
// Source: spec libp2p 10.
package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	rpcs          = protocol.ID("coda/rpcs/0.0.1")
	menu          = "__Versioned_rpc.Menu"
	heartbeat     = 10 * time.Second
	rpcMessageMax = 64 << 20
	magic         = 0x00435052
)

var greeting = appendInt(appendInt(appendNat0(nil, 2), magic), 1)

// --- bin_prot

func appendNat0(to []byte, value uint64) []byte {
	switch {
	case value < 0x80:
		return append(to, byte(value))
	case value <= math.MaxUint16:
		return binary.LittleEndian.AppendUint16(append(to, 0xfe), uint16(value))
	case value <= math.MaxUint32:
		return binary.LittleEndian.AppendUint32(append(to, 0xfd), uint32(value))
	}
	return binary.LittleEndian.AppendUint64(append(to, 0xfc), value)
}

func appendInt(to []byte, value int64) []byte {
	switch {
	case 0 <= value && value < 0x80:
		return append(to, byte(value))
	case math.MinInt8 <= value && value < 0:
		return append(to, 0xff, byte(value))
	case math.MinInt16 <= value && value <= math.MaxInt16:
		return binary.LittleEndian.AppendUint16(append(to, 0xfe), uint16(value))
	case math.MinInt32 <= value && value <= math.MaxInt32:
		return binary.LittleEndian.AppendUint32(append(to, 0xfd), uint32(value))
	}
	return binary.LittleEndian.AppendUint64(append(to, 0xfc), uint64(value))
}

func appendString(to []byte, value string) []byte {
	return append(appendNat0(to, uint64(len(value))), value...)
}

// reader takes values from the front; the first that is not there is remembered.
type reader struct {
	left []byte
	err  error
}

func (r *reader) take(count uint64) []byte {
	if r.err != nil || count > uint64(len(r.left)) {
		if r.err == nil {
			r.err = errors.New("the message is too short")
		}
		return make([]byte, 8)
	}
	taken := r.left[:count]
	r.left = r.left[count:]
	return taken
}

func (r *reader) number(isSigned bool) int64 {
	first := r.take(1)[0]
	switch {
	case first < 0x80:
		return int64(first)
	case first == 0xff && isSigned:
		return int64(int8(r.take(1)[0]))
	case first == 0xfe:
		value := binary.LittleEndian.Uint16(r.take(2))
		if isSigned {
			return int64(int16(value))
		}
		return int64(value)
	case first == 0xfd:
		value := binary.LittleEndian.Uint32(r.take(4))
		if isSigned {
			return int64(int32(value))
		}
		return int64(value)
	case first == 0xfc:
		return int64(binary.LittleEndian.Uint64(r.take(8)))
	}
	r.err = fmt.Errorf("no number begins with %#x", first)
	return 0
}

func (r *reader) int() int64     { return r.number(true) }
func (r *reader) nat0() uint64   { return uint64(r.number(false)) }
func (r *reader) string() string { return string(r.take(r.nat0())) }

// --- what is served

type method struct {
	tag     string
	version int64
}

// served is what a question is answered with: bytes, or a way to misbehave.
type served struct {
	data []byte
	how  string
}

// --- a session: one stream, both sides may ask

type session struct {
	node    *node
	stream  network.Stream
	peer    string
	isOurs  bool
	write   sync.Mutex
	lock    sync.Mutex
	waiting map[int64]chan answer
	greeted chan struct{}
}

func (n *node) session(stream network.Stream, isOurs bool) *session {
	made := &session{node: n, stream: stream, peer: stream.Conn().RemotePeer().String(), isOurs: isOurs, waiting: map[int64]chan answer{}, greeted: make(chan struct{})}
	if !isOurs {
		n.lock.Lock()
		n.theirs[made.peer] = made
		n.lock.Unlock()
	}
	go made.run()
	return made
}

func (s *session) send(message []byte) error {
	s.write.Lock()
	defer s.write.Unlock()
	_, err := s.stream.Write(framed(message))
	return err
}

func framed(message []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(message))), message...)
}

func receive(stream io.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint64(head[:])
	if length > rpcMessageMax {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	message := make([]byte, length)
	_, err := io.ReadFull(stream, message)
	return message, err
}

func (s *session) run() {
	err := s.send(greeting)
	if err == nil {
		err = s.read()
	}
	s.lock.Lock()
	for _, waiting := range s.waiting {
		waiting <- answer{"failed": "session"}
	}
	s.waiting = nil
	s.lock.Unlock()
	say(answer{"event": "rpc ended", "peer": s.peer, "is_ours": s.isOurs, "reason": err.Error()})
}

func (s *session) read() error {
	message, err := receive(s.stream)
	if err != nil {
		return err
	}
	if err := checkGreeting(message); err != nil {
		_ = s.stream.Reset()
		return err
	}
	close(s.greeted)
	done := make(chan struct{})
	defer close(done)
	go s.beat(done)
	for beats := 0; ; {
		message, err := receive(s.stream)
		if err != nil {
			return err
		}
		from := &reader{left: message}
		switch tag := from.take(1)[0]; tag {
		case 0:
			beats++
			say(answer{"event": "rpc heartbeat", "peer": s.peer, "is_ours": s.isOurs, "count": beats})
		case 1:
			err = s.asked(from)
		case 2:
			err = s.answered(from)
		default:
			err = fmt.Errorf("no message begins with %d", tag)
		}
		if err == nil {
			err = from.err
		}
		if err != nil {
			_ = s.stream.Reset()
			return err
		}
	}
}

func checkGreeting(message []byte) error {
	from := &reader{left: message}
	count := from.nat0()
	if count < 2 || from.int() != magic {
		return errors.New("a greeting without the magic number")
	}
	for ; count > 1 && from.err == nil; count-- {
		if from.int() == 1 {
			return nil
		}
	}
	return errors.New("a greeting without version 1")
}

func (s *session) beat(done chan struct{}) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for s.send([]byte{0}) == nil {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}

// --- being asked

func (s *session) asked(from *reader) error {
	asked := method{from.string(), from.int()}
	id, data := from.int(), from.string()
	if from.err != nil || len(from.left) > 0 {
		return errors.New("a query with another length than it says")
	}
	say(answer{"event": "rpc asked", "peer": s.peer, "tag": asked.tag, "version": asked.version, "data": hex.EncodeToString([]byte(data))})
	s.node.lock.Lock()
	found, isKnown := s.node.served[asked]
	hasMenu := !s.node.noMenu
	s.node.lock.Unlock()
	if asked == (method{menu, 1}) && hasMenu {
		return s.send(ok(id, s.node.menu()))
	}
	if !isKnown {
		return s.send(unimplemented(id, asked))
	}
	switch found.how {
	case "":
		return s.send(ok(id, found.data))
	case "silent":
		return nil
	case "reset":
		return s.stream.Reset()
	case "half":
		message := framed(ok(id, found.data))
		s.write.Lock()
		defer s.write.Unlock()
		if _, err := s.stream.Write(message[:len(message)/2]); err != nil {
			return err
		}
		return s.stream.CloseWrite()
	case "failed":
		return s.send(append(failed(id, 3), appendString([]byte{0}, "it did not work")...))
	case "unknown":
		return s.send(unimplemented(id, asked))
	case "stranger":
		return s.send(ok(id+1, found.data))
	case "nonsense":
		return s.send([]byte{9, 9, 9})
	case "oversized":
		s.write.Lock()
		defer s.write.Unlock()
		_, err := s.stream.Write(binary.LittleEndian.AppendUint64(nil, 1<<40))
		return err
	}
	return fmt.Errorf("nothing is served like %q", found.how)
}

func ok(id int64, data []byte) []byte {
	return appendString(append(appendInt([]byte{2}, id), 0), string(data))
}

func failed(id int64, kind byte) []byte { return append(appendInt([]byte{2}, id), 1, kind) }

func unimplemented(id int64, asked method) []byte {
	// The tag of the polymorphic variant `Version`, then the version.
	return appendInt(append(appendString(failed(id, 4), asked.tag), 0xf1, 0x1d, 0x86, 0x94), asked.version)
}

func (n *node) menu() []byte {
	n.lock.Lock()
	defer n.lock.Unlock()
	methods := []method{}
	for known := range n.served {
		methods = append(methods, known)
	}
	sort.Slice(methods, func(i, j int) bool { return methods[i].tag < methods[j].tag })
	encoded := appendNat0(nil, uint64(len(methods)))
	for _, known := range methods {
		encoded = appendInt(appendString(encoded, known.tag), known.version)
	}
	return encoded
}

// --- asking

func (s *session) ask(ctx context.Context, what method, data []byte) (answer, error) {
	select {
	case <-s.greeted:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.node.lock.Lock()
	s.node.queries++
	id := s.node.queries
	s.node.lock.Unlock()
	waiting := make(chan answer, 1)
	s.lock.Lock()
	if s.waiting == nil {
		s.lock.Unlock()
		return answer{"failed": "session"}, nil
	}
	s.waiting[id] = waiting
	s.lock.Unlock()
	query := appendString(appendInt(appendInt(appendString([]byte{1}, what.tag), what.version), id), string(data))
	if err := s.send(query); err != nil {
		return answer{"failed": "session"}, nil
	}
	select {
	case found := <-waiting:
		return found, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *session) answered(from *reader) error {
	id := from.int()
	s.lock.Lock()
	waiting, isKnown := s.waiting[id]
	delete(s.waiting, id)
	s.lock.Unlock()
	if !isKnown {
		return fmt.Errorf("an answer to no question, %d", id)
	}
	if from.take(1)[0] == 0 {
		waiting <- answer{"data": hex.EncodeToString([]byte(from.string()))}
		return nil
	}
	waiting <- answer{"failed": []string{"bin_io", "connection_closed", "write", "uncaught", "unimplemented", "unknown_id"}[from.take(1)[0]%6]}
	return nil
}

// rpcAsk asks as OCaml does: on a stream of its own, after its menu, and without a word when it is over.
func (n *node) rpcAsk(ctx context.Context, id peer.ID, order command) (answer, error) {
	data, err := payload(order)
	if err != nil {
		return nil, err
	}
	what := method{order.Tag, int64(order.Version)}
	if order.How == "theirs" {
		n.lock.Lock()
		found := n.theirs[id.String()]
		n.lock.Unlock()
		if found == nil {
			return nil, errors.New("that peer has opened no session")
		}
		return found.ask(ctx, what, data)
	}
	stream, err := n.host.NewStream(ctx, id, rpcs)
	if err != nil {
		return nil, err
	}
	made := n.session(stream, true)
	if order.How != "without menu" {
		said, err := made.ask(ctx, method{menu, 1}, []byte{0})
		if err != nil || said["data"] == nil {
			return said, err
		}
	}
	result, err := made.ask(ctx, what, data)
	if order.How == "end" {
		_ = stream.CloseWrite()
	}
	return result, err
}

// rpcRaw sends these bytes on a new stream and tells what messages come until their count is reached or the stream ends.
func (n *node) rpcRaw(ctx context.Context, id peer.ID, order command) (answer, error) {
	data, err := payload(order)
	if err != nil {
		return nil, err
	}
	stream, err := n.host.NewStream(ctx, id, rpcs)
	if err != nil {
		return nil, err
	}
	// A peer that has had enough may reset the stream in the middle; what it said before is still told.
	_, _ = stream.Write(data)
	messages, ended := []string{}, ""
	for len(messages) < order.Count {
		message, err := receive(stream)
		if err != nil {
			ended = err.Error()
			break
		}
		messages = append(messages, hex.EncodeToString(message))
	}
	if ended == "" {
		_ = stream.Reset()
	}
	return answer{"messages": messages, "ended": ended}, nil
}

func (n *node) rpcServe(order command) error {
	data, err := payload(order)
	if err != nil {
		return err
	}
	n.lock.Lock()
	defer n.lock.Unlock()
	if order.Tag == menu {
		n.noMenu = order.How == "none"
		return nil
	}
	n.served[method{order.Tag, int64(order.Version)}] = served{data, order.How}
	return nil
}

// payload is what an order gives as hex digits, or the name of a file that holds it.
func payload(order command) ([]byte, error) {
	if order.File != "" {
		return os.ReadFile(order.File)
	}
	return hex.DecodeString(order.Data)
}
