"""All simulated agencies in one process: one HTTP server, one path an agency."""

import asyncio
import signal
from pathlib import Path

import aiohttp
from aiohttp import web

from dabyl.simulators.agency import Agency
from dabyl.simulators.journal import Journal
from dabyl.simulators.roster import Roster


async def run_street(roster: Roster, journal_file: Path) -> None:
    """Serve and pull until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    journal = Journal(journal_file)
    timeout = aiohttp.ClientTimeout(total=40, connect=5)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as http:
        agencies = [Agency(member, roster.gateway, journal, http) for member in roster.members]
        app = web.Application(client_max_size=64 * 1024)
        for agency in agencies:
            if agency.member.behaviour not in ("dead", "pull"):
                app.router.add_post(f"/{agency.member.code}", agency.take_notice)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        # Tokens before the first notice: a real agency's system has been up for days.
        await asyncio.gather(*(agency.sign_in() for agency in agencies if agency.member.behaviour != "dead"))
        await web.TCPSite(runner, "127.0.0.1", roster.port).start()
        pulling = [
            asyncio.create_task(agency.pull()) for agency in agencies if agency.member.behaviour == "pull"
        ]
        await stop.wait()
        for task in pulling:
            task.cancel()
        await runner.cleanup()
