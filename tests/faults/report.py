"""`python -m tests.faults.report` runs faults and overload and writes docs/reliability.md."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from gateway.local.triton_server import TritonOptions, TritonServer
from tests.faults.overload import Overload, overload
from tests.faults.proxy import Fault
from tests.faults.scene import RELEASE, REPOSITORY
from tests.faults.table import QDRANT, TRITON, Row, row, shop_behind

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
FAULTS, OVERLOAD = "the faults", "the overload"
END = "<!-- until here -->"
TIMES = (2.0, 5.0)
FAULTS_HEAD = (
    "| server | fault on the way to it | requests | right | errors | wrong answers "
    "| worst answer | worst error while known to be away | first right answer after "
    "| writes acknowledged | lost |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)
OVERLOAD_HEAD = (
    "| model | offered | peak | right answers of the peak | accepted: p99 | refused "
    "| refusals: p50 | p99 | other answers | memory | p99 five seconds later |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)


def line(seen: Row) -> str:
    """One row of the table."""
    during, known = seen.during, seen.known
    sent = during.sent + (0 if known is None else known.sent)
    right = during.right + (0 if known is None else known.right)
    wrong = during.wrong + (0 if known is None else known.wrong)
    codes = during.codes if known is None else during.codes + known.codes
    errors = ", ".join(f"{n} times {code}" for code, n in sorted(codes.items()) if code != 200)
    away = "" if known is None else f"{max(known.errors_took_s) * 1000:.0f} ms"
    return (
        f"| {seen.server} | {seen.fault.value} | {sent} | {right} | {errors} | {wrong} "
        f"| {max(during.took_s) * 1000:.0f} ms | {away} | {seen.back_s:.2f} s "
        f"| {seen.acknowledged} | {seen.lost} |\n"
    )


def overload_line(found: Overload) -> str:
    """One row of the other table."""
    seen, peak = found.seen, found.peak
    codes = seen.codes()
    others = codes.total() - codes[200] - codes[429]
    return (
        f"| {found.model} | {found.times:g} times the peak for {found.seconds:.0f} s "
        f"| {peak.goodput():.0f}/s "
        f"| {seen.goodput() / peak.goodput():.0%} | {seen.quantile_s(200, 0.99):.2f} s "
        f"| {codes[429]} of {codes.total()} | {seen.quantile_s(429, 0.5) * 1000:.0f} ms "
        f"| {seen.quantile_s(429, 0.99) * 1000:.0f} ms | {others} | {found.grown_mib:+.0f} MiB "
        f"| {found.after.quantile_s(200, 0.99) * 1000:.0f} ms |\n"
    )


def write(what: str, table: str) -> None:
    """Puts a table where the last one stood, with the day and what else the machine was doing."""
    begin = f"<!-- {what}: written by `python -m tests.faults.report` -->"
    before, found, rest = DOCUMENT.read_text().partition(begin)
    assert found, f"{DOCUMENT} has no place for {what}"
    _, _, after = rest.partition(END)
    said = (
        f"Run on {datetime.now(UTC).date()}, on {os.cpu_count()} cores; "
        f"load average before: {os.getloadavg()[1]:.1f}."
    )
    DOCUMENT.write_text(f"{before}{begin}\n\n{said}\n\n{table}\n{END}{after}")


async def run_faults(triton_port: int) -> list[Row]:
    """Every fault before each of the servers."""
    rows = []
    for server in (TRITON, QDRANT):
        for fault in Fault:
            async with shop_behind(server, triton_port) as (shop, proxy):
                rows.append(await row(server, fault, shop, proxy))
    return rows


def main() -> None:
    """Starts Triton, runs, writes."""
    logging.disable(logging.WARNING)
    found = [asyncio.run(overload(times)) for times in TIMES]
    with tempfile.TemporaryDirectory() as folder:
        models = [f"{RELEASE}-image", f"{RELEASE}-text"]
        with TritonServer(TritonOptions(REPOSITORY, models, Path(folder) / "log")) as server:
            port = int(server.endpoint.rpartition(":")[2])
            found += [asyncio.run(overload(times, server.endpoint)) for times in TIMES]
            rows = asyncio.run(run_faults(port))
    write(OVERLOAD, OVERLOAD_HEAD + "".join(map(overload_line, found)))
    write(FAULTS, FAULTS_HEAD + "".join(map(line, rows)))


if __name__ == "__main__":
    main()
