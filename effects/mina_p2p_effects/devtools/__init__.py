"""The genuine Redux DevTools interface over a log: `mina-p2p devtools LOG`.

* `assets` fetches the interface, the built web application inside the npm package ``@redux-devtools/app``.
* `jsan` writes states in the JSON dialect of the interface, in which parts that states share are written once.
* `window` makes the lifted state of at most 500 actions: what the interface shows.
* `socketcluster` speaks the protocol by which the interface talks with a server.
* `server` puts these together on one local port, beside a bar that moves the window.

The extra ``ui`` has what the server needs.
"""
