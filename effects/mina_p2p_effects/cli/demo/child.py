"""One node of the demo, as a process: reads its assignment and ``stop`` from standard input, reports to standard output."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import attrs

from mina_p2p.address import parse_address
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.config import Limits
from mina_p2p.identity import ChainId
from mina_p2p.ids import ChannelId
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.protocol_state import ConsensusState
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived, ItemReceived
from mina_p2p.wire import codec
from mina_p2p_effects.cli.demo.protocol import Assignment, Share
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.loop import run_on_best_loop
from mina_p2p_effects.metrics.meter import Meter
from mina_p2p_effects.node import Node, NodeConfig

REPORT_EVERY_S = 0.1
LINE_BYTES_MAX = 64 * 1024 * 1024


class DemoNode:
    """A node with the smallest node software that makes sense: everything is valid, the better block is the best tip."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        initial = () if assignment.initial_peer is None else (parse_address(assignment.initial_peer),)
        self._node = Node(
            NodeConfig(
                secret_key=SecretKey(bytes.fromhex(assignment.secret_seed_hex)),
                chain_id=ChainId.parse(assignment.chain_id_hex),
                host="127.0.0.1",
                port=0,
                initial_peers=initial,
                limits=Limits(peers_max=2 * assignment.nodes_count, peers_min=assignment.peers_wanted),
                seed=assignment.seed,
                agent=f"demo-{assignment.number}",
                are_private_addresses_allowed=True,
                # With real data, what is spread is in the very blocks that are spread too.
                are_settled_items_dropped=False,
                record_to=Path(assignment.log_path),
            )
        )
        self._meter = Meter(self._node.store)
        self._best_tip: RawBlock | None = None

    async def run(self, commands: asyncio.StreamReader) -> None:
        """Until told to stop, or until the parent is gone."""
        async with self._node as node:
            _report({"event": "listening", "address": str(node.addresses[0]), "peer_id": str(node.peer_id)})
            self._give(self._assignment.share)
            software = asyncio.ensure_future(self._follow())
            reporting = asyncio.ensure_future(self._report_changes())
            stopped = asyncio.ensure_future(commands.readline())
            try:
                await asyncio.wait({software, reporting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (software, reporting, stopped):
                    task.cancel()
                await asyncio.gather(software, reporting, stopped, return_exceptions=True)
        _report({"event": "stopped", **attrs.asdict(self._meter.totals)})

    def _give(self, share: Share) -> None:
        for transaction in share.transactions:
            self._node.add_transaction(transaction)
        for snark in share.snarks:
            self._node.add_snark(snark)
        for commitment in share.commitments:
            self._node.add_snark_job_commitment(codec(SnarkJobCommitment).decode(commitment))
        if share.best_tip is not None:
            self._adopt(RawBlock(share.best_tip))

    def _adopt(self, block: RawBlock) -> None:
        if self._best_tip is None or _is_better(block, self._best_tip):
            self._best_tip = block
            self._node.set_best_tip(block)

    async def _follow(self) -> None:
        async for notification in self._node.notifications():
            match notification:
                case ItemReceived(verdict_id=verdict_id):
                    self._node.give_verdict(verdict_id, is_valid=True)
                case BestTipReceived(block=block):
                    self._adopt(block)
                case _:
                    pass

    async def _report_changes(self) -> None:
        last: dict[str, Any] = {}
        while True:
            if (now := self._progress()) != last:
                _report({"event": "progress", **now})
                last = now
            await asyncio.sleep(REPORT_EVERY_S)

    def _progress(self) -> dict[str, Any]:
        state = self._node.state
        best_tip = state.best_tips.own
        ready = [connection for cid, connection in state.connections.table.items() if state.connections.ready(cid) is not None]
        return {
            "peers": sorted(str(connection.peer_id) for connection in ready),
            "dialled": sorted(str(connection.peer_id) for connection in ready if not connection.is_incoming),
            "transactions": len(state.pools.of(ChannelId.TRANSACTION).items),
            "snarks": len(state.pools.of(ChannelId.SNARK).items),
            "commitments": len(state.pools.of(ChannelId.SNARK_JOB_COMMITMENT).items),
            "best_tip": None if best_tip is None else best_tip.state_hash.hex(),
        }


def _is_better(candidate: RawBlock, tip: RawBlock) -> bool:
    def consensus(block: RawBlock) -> ConsensusState:
        return block.value.header.protocol_state.body.consensus_state

    return select_chain(consensus(tip), consensus(candidate), state_hash_of_block(tip), state_hash_of_block(candidate)).take


def _report(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _run() -> None:
    commands = await _standard_input()
    assignment = Assignment.from_line((await commands.readline()).decode())
    await DemoNode(assignment).run(commands)


def main() -> None:
    """Run one node of the demo."""
    # Ctrl-C reaches the whole process group; the parent decides when we stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_on_best_loop(_run())


if __name__ == "__main__":
    main()
