//go:build !ocaml

package main

import (
	dht "github.com/libp2p/go-libp2p-kad-dht"
	ma "github.com/multiformats/go-multiaddr"
)

// Today's table keeps loopback addresses to itself; the one of OCaml nodes does not, and these tests run on loopback.
var dhtOptions = []dht.Option{
	dht.ProtocolPrefix("/coda"),
	dht.AddressFilter(func(addrs []ma.Multiaddr) []ma.Multiaddr { return addrs }),
}
