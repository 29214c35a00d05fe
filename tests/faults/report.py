"""`python -m tests.faults.report` runs the faults and writes their table: docs/reliability.md."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from gateway.local.triton_server import TritonOptions, TritonServer
from tests.faults.proxy import Fault
from tests.faults.scene import RELEASE, REPOSITORY
from tests.faults.table import QDRANT, TRITON, Row, row, shop_behind

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- written by `python -m tests.faults.report` -->"
END = "<!-- until here -->"
HEAD = (
    "| server | fault on the way to it | requests | right | errors | wrong answers "
    "| worst answer | worst error while known to be away | first right answer after "
    "| writes acknowledged | lost |\n"
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


def write(rows: list[Row]) -> None:
    """Puts the table where the last one stood."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    day = datetime.now(UTC).date()
    table = HEAD + "".join(map(line, rows))
    DOCUMENT.write_text(f"{before}{BEGIN}\n\nRun on {day}.\n\n{table}\n{END}{after}")


async def run(triton_port: int) -> list[Row]:
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
    with tempfile.TemporaryDirectory() as folder:
        models = [f"{RELEASE}-image", f"{RELEASE}-text"]
        with TritonServer(TritonOptions(REPOSITORY, models, Path(folder) / "log")) as server:
            port = int(server.endpoint.rpartition(":")[2])
            write(asyncio.run(run(port)))


if __name__ == "__main__":
    main()
