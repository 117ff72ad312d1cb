"""Walk through a log in the browser, with the genuine Redux DevTools.

Serves the interface on a local port with a window of at most 500 actions and the state after
each. Its slider, and a click on 'Jump', move the replay; the bar above it moves the window and
searches. With --follow the log of a node that runs is shown as it grows.

The interface's files come from the npm package @redux-devtools/app, once, into the user's cache.
Needs npm for that, and the extra 'ui': pip install 'mina-p2p[ui]'.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from mina_p2p_effects.cli.arguments import port, whole
from mina_p2p_effects.devtools.assets import PACKAGE_VARIABLE, web_folder
from mina_p2p_effects.devtools.viewer import Viewer
from mina_p2p_effects.logs import LogSession, open_session

if TYPE_CHECKING:
    from mina_p2p_effects.devtools.server import DevToolsServer

WINDOW_MAX = 500
FOLLOW_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("log", type=Path, metavar="LOG", help="a log, or a directory with one log")
    parser.add_argument("--port", type=port, default=0, metavar="N", help="listen here, on the loopback address (default: any free port)")
    parser.add_argument(
        "--window",
        type=whole(1, WINDOW_MAX),
        default=WINDOW_MAX,
        metavar="N",
        help=f"actions of a window, at most {WINDOW_MAX}, the default",
    )
    parser.add_argument("--follow", action="store_true", help="the log still grows: show what comes")
    parser.add_argument("--open", action="store_true", help="open the page in the default browser")
    parser.add_argument("--json", action="store_true", help="print one JSON object, url and log, when the page is there")
    parser.epilog = f"Without a way to the npm registry, name the package's archive in the environment variable {PACKAGE_VARIABLE}."


def run(arguments: argparse.Namespace) -> int:
    """Run the command until it is interrupted; 0 then, 2 where the log or the interface's files are not to be had."""
    from mina_p2p_effects.devtools.server import DevToolsServer  # noqa: PLC0415 - needs an extra

    with open_session(arguments.log, follow=arguments.follow) as session:
        viewer = Viewer(session, arguments.log.name, count_max=arguments.window)
        asyncio.run(_serve(arguments, session, viewer, DevToolsServer(viewer, web_folder())))
    return 0


async def _serve(arguments: argparse.Namespace, session: LogSession, viewer: Viewer, server: DevToolsServer) -> None:
    await server.start(arguments.port)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        text = f"{arguments.log.name}: {session.count:,} actions; Redux DevTools at {server.url} (Ctrl-C ends it)"
        sys.stdout.write((json.dumps({"url": server.url, "log": str(arguments.log)}) if arguments.json else text) + "\n")
        sys.stdout.flush()
        if arguments.open:
            await asyncio.to_thread(webbrowser.open, server.url)
        while not stopped.is_set():
            if arguments.follow and await server.work(viewer.refresh):
                await server.show(window=True)
            await _pause(stopped, FOLLOW_SECONDS if arguments.follow else None)
    finally:
        await server.close()


async def _pause(stopped: asyncio.Event, seconds: float | None) -> None:
    try:
        await asyncio.wait_for(stopped.wait(), seconds)
    except TimeoutError:
        return
