//go:build ocaml

package main

import dht "github.com/libp2p/go-libp2p-kad-dht"

var dhtOptions = []dht.Option{dht.ProtocolPrefix("/coda")}
