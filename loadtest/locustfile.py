"""Locust's entry: `locust -f loadtest/locustfile.py`; docs/loadtest.md says how.

HTTP and gRPC shoppers ask the same things; `HttpShopper` or `GrpcShopper` as an argument leaves
the other out.
"""

from __future__ import annotations

import json
import logging
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

# Locust loads this file by its path: the project is found beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import grpc.experimental.gevent
from geventhttpclient.client import HTTPClientPool
from locust import FastHttpUser, LoadTestShape, User, events, task
from locust import log as locust_log
from locust.runners import MasterRunner, WorkerRunner

from loadtest import report, steps
from loadtest.answers import Caller
from loadtest.grpc_caller import CHANNELS, GrpcCaller, open_channel
from loadtest.http_caller import HttpCaller
from loadtest.load_run import LoadRun
from loadtest.options import DEFAULT_RUN_S, add_arguments, options_of, users_at
from loadtest.picture_folder import BadFolder
from loadtest.record import Record, Run
from loadtest.workload import Ask, Kind, own_ids, shown_mix

# Locust has patched the standard library by now; gRPC must be told before its first channel.
grpc.experimental.gevent.init_gevent()

log = logging.getLogger("loadtest")

# A broken step may be noise; two in a row are the knee, and more would only hurt the service.
BROKEN_STEPS = 2
REPORT_DELAY_S = 5.0
MAX_CONNECTIONS = 10_000
SPAWN_RATE = 100.0  # users a second; locust advises against more

events.init_command_line_parser.add_listener(add_arguments)


@events.init.add_listener
def set_up(environment: Any, **_: Any) -> None:  # noqa: ANN401 - locust's, which has no types here
    """Checks the options and makes this process's part of the run."""
    runner = environment.runner
    try:
        options = options_of(environment.parsed_options)
        environment.load = load = LoadRun(
            options,
            environment.events.request.fire,
            lambda: str(getattr(runner, "worker_index", 0)),
        )
        if not isinstance(runner, MasterRunner):
            load.prepare()
    except (ValueError, BadFolder) as exc:
        log.error("%s", exc)
        sys.exit(2)
    # Which users there are is the master's to say.
    if not options.grpc and not isinstance(runner, WorkerRunner):
        environment.user_classes = [u for u in environment.user_classes if u is not GrpcShopper]
    # Requests under way at the end are waited for: the slowest would be missing otherwise.
    environment.stop_timeout = max(environment.stop_timeout, options.timeout_s + 2.0)
    _join(load)


def _join(load: LoadRun) -> None:
    """Workers' counts go to the master with locust's own."""

    @events.report_to_master.add_listener
    def send(data: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - locust's
        data["lookalike"] = [load.pictures, load.record.taken().to_json()]

    @events.worker_report.add_listener
    def take(data: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - locust's
        load.pictures, counts = data["lookalike"]
        load.record.merge(Record.from_json(counts))


@events.test_start.add_listener
def begin(environment: Any, **_: Any) -> None:  # noqa: ANN401 - locust's
    """The clock starts; a worker has learnt the master's options with the order."""
    environment.load.begin(options_of(environment.parsed_options))


@events.test_stopping.add_listener
def end_arrivals(environment: Any, **_: Any) -> None:  # noqa: ANN401 - locust's
    """The clock stops."""
    environment.load.end_arrivals()


@events.test_stop.add_listener
def finish(environment: Any, **_: Any) -> None:  # noqa: ANN401 - locust's
    """Counts what is left; takes the test's own items out of the shop again."""
    environment.load.finish()
    options = environment.load.options
    if options.mix.get(Kind.UPSERT) and not isinstance(environment.runner, WorkerRunner):
        _delete_own_items(environment.host, options.api_key)


def _delete_own_items(host: str, api_key: str) -> None:
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    body = json.dumps({"delete": own_ids()}).encode()
    request = urllib.request.Request(f"{host}/v1/items/batch", body, headers)  # noqa: S310 - the host under test
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - the same
            response.read()
    except OSError as exc:
        log.warning("Items %s… were left in the shop: %s", own_ids()[0], exc)


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:  # noqa: ANN401 - locust's
    """Writes the report, and makes the exit code that of the SLO."""
    if isinstance(environment.runner, WorkerRunner):
        return
    load = environment.load
    options = load.options
    users = environment.parsed_options.num_users or 1
    done = report.judged(
        Run(
            record=load.record,
            model=options.model,
            offered=options.offered(users),
            slo=options.slo,
            steps=environment.parsed_options.steps or None,
            step_seconds=environment.parsed_options.step_seconds,
            warm_up_s=environment.parsed_options.warm_up,
            ran_s=load.ran_s,
            started=load.started.isoformat(timespec="seconds"),
            pictures=load.pictures,
            mix=shown_mix(options.mix),
        )
    )
    if options.report:
        done.save(options.report)
    # Below locust's own tables.
    events.quit.add_listener(lambda **_: print("\n" + "\n".join(done.lines())))
    unexpected = environment.runner.exceptions or locust_log.unhandled_greenlet_exception
    if options.terms and not unexpected:
        # Locust itself would fail at a single error, which an SLO may allow.
        environment.process_exit_code = 0 if done.held else 1


class Shopper(User):
    """A user of the closed model; in the open one, a slot for a request under way."""

    abstract = True

    def on_start(self) -> None:
        """Takes a stream of requests."""
        self.load: LoadRun = self.environment.load
        self.caller: Caller = self.make_caller()
        self.asks: Iterator[Ask] = self.load.join(self.caller.protocol)

    def on_stop(self) -> None:
        """Goes."""
        self.load.leave(self.caller.protocol)

    def make_caller(self) -> Caller:
        """How this user sends requests."""
        raise NotImplementedError

    @task
    def shop(self) -> None:
        """One request."""
        self.load.serve(self.caller, self.asks)


class HttpShopper(Shopper, FastHttpUser):
    """Over HTTP. Connections are shared, the one used last first, as storefronts' pools do: one
    of its own for every slot would lie idle until the gateway closes it."""

    client_pool = HTTPClientPool(concurrency=MAX_CONNECTIONS)

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 - locust's
        # The gateway is told the timeout: give it the time to say so itself.
        self.network_timeout = environment.load.options.timeout_s + 1.0
        super().__init__(environment)

    def make_caller(self) -> Caller:
        """See the base class."""
        options = self.load.options
        return HttpCaller(self.client, options.timeout_s, options.api_key)


class GrpcShopper(Shopper):
    """Over gRPC, with a few connections for all."""

    channels: ClassVar[list[Any]] = []

    def make_caller(self) -> Caller:
        """See the base class."""
        options = self.load.options
        if len(self.channels) < CHANNELS:
            self.channels.append(open_channel(options.grpc))
        self.channels.append(channel := self.channels.pop(0))
        return GrpcCaller(channel, options.timeout_s, options.api_key)


class Plan(LoadTestShape):
    """Constant load for --run-time, or steps until two in a row have broken the SLO."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """How many users there are now, and how fast they come; None ends the test."""
        environment = self.runner.environment
        load: LoadRun = environment.load
        parsed = environment.parsed_options
        at_s = self.get_run_time()
        if load.options.steps is None and at_s >= (parsed.run_time or DEFAULT_RUN_S):
            return None
        users = users_at(load.options, parsed.num_users or 1, at_s)
        if not users or self._past_the_knee(load, at_s):
            return None
        at_once = load.options.is_open or load.options.steps
        return users, SPAWN_RATE if at_once else float(parsed.spawn_rate or 1)

    def _past_the_knee(self, load: LoadRun, at_s: float) -> bool:
        plan, terms = load.options.steps, load.options.terms
        if plan is None or not terms:
            return False
        # What a step caused may still be under way, and workers report every three seconds.
        done = steps.measured(load.record, plan, terms, at_s - REPORT_DELAY_S)
        return len(done) >= BROKEN_STEPS and not any(s.held for s in done[-BROKEN_STEPS:])
