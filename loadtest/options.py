"""The options that this project adds to locust's own, checked and typed."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

from loadtest import slo
from loadtest.steps import Constant, StepPlan
from loadtest.workload import DEFAULT_MIX, ZIPF_EXPONENT, Mix, parse_mix, shown_mix

OPEN, CLOSED = "open", "closed"

# A forgotten --run-time must not load a shop until somebody notices.
DEFAULT_RUN_S = 120


@dataclass(frozen=True)
class LoadOptions:
    """What a run is to do. Times are in seconds; `rate` is arrivals a second."""

    pictures: Path
    report: Path | None
    mix: Mix
    zipf_exponent: float
    seed: int
    rate: float
    steps: StepPlan | None
    model: str
    in_flight: int
    think_s: float
    timeout_s: float
    terms: tuple[slo.Term, ...]
    slo: str
    grpc: str
    api_key: str

    @property
    def plan(self) -> StepPlan | Constant:
        """The arrivals of the open model."""
        return self.steps or Constant(self.rate)

    @property
    def is_open(self) -> bool:
        """Whether requests come by the clock."""
        return self.model == OPEN

    def offered(self, users: int) -> str:
        """The load in words."""
        load = "requests a second" if self.is_open else "users"
        if self.steps:
            plan = self.steps
            return f"{plan.first:g} to {plan.last:g} {load} by {plan.by:g}, {plan.seconds} s each"
        return f"{self.rate:g} {load}" if self.is_open else f"{users} {load}"


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options to locust's parser."""
    group = parser.add_argument_group("Lookalike")
    group.add_argument("--pictures", default="", help="Folder that make_pictures has filled.")
    group.add_argument("--grpc", default="", help="The gateway's gRPC address, host:port.")
    group.add_argument("--api-key", default="", help="Sent as a bearer token, if set.")
    group.add_argument("--mix", default=shown_mix(DEFAULT_MIX), help="Kinds and weights.")
    group.add_argument("--zipf", type=float, default=ZIPF_EXPONENT, help="Exponent of the words.")
    group.add_argument("--seed", type=int, default=1, help="Another seed asks other things.")
    group.add_argument("--rate", type=float, default=0.0, help="Open model: arrivals a second.")
    group.add_argument("--steps", default="", help="FIRST:LAST:BY: load in steps; finds the knee.")
    group.add_argument("--step-seconds", type=int, default=15, help="How long a step takes.")
    group.add_argument(
        "--model", choices=("", OPEN, CLOSED), default="",
        help="With --steps: arrivals a second (open, the default) or users (closed).",
    )  # fmt: skip
    # More than a gateway admits unless told otherwise, so that its refusals are seen.
    group.add_argument(
        "--in-flight", type=int, default=300, help="Open model: requests under way at once."
    )
    group.add_argument(
        "--think", type=float, default=0.0, help="Closed model: a user's mean pause in seconds."
    )
    group.add_argument(
        "--warm-up", type=int, default=5, help="Seconds at the start that no verdict counts."
    )
    group.add_argument("--request-timeout", type=float, default=5.0, help="Seconds.")
    group.add_argument("--slo", default="", help="Such as p99=150ms,errors=0.1%%,refused=1%%.")
    group.add_argument("--report", default="", help="Folder for summary, plots and raw record.")


def options_of(parsed: Namespace) -> LoadOptions:
    """The options of a run; ValueError says what is wrong with them."""
    if not parsed.pictures:
        raise ValueError(
            "--pictures names no folder: `python -m loadtest.make_pictures` fills one."
        )
    steps = StepPlan.parse(parsed.steps, parsed.step_seconds) if parsed.steps else None
    model = parsed.model or (OPEN if parsed.rate or steps else CLOSED)
    if model == OPEN and not (parsed.rate > 0 or steps):
        raise ValueError("The open model needs --rate or --steps.")
    if model == CLOSED and parsed.rate:
        raise ValueError("--rate is the open model's: the closed one takes --users.")
    return LoadOptions(
        pictures=Path(parsed.pictures),
        report=Path(parsed.report) if parsed.report else None,
        mix=parse_mix(parsed.mix),
        zipf_exponent=parsed.zipf,
        seed=parsed.seed,
        rate=parsed.rate,
        steps=steps,
        model=model,
        in_flight=parsed.in_flight,
        think_s=parsed.think,
        timeout_s=parsed.request_timeout,
        terms=slo.parse(parsed.slo),
        slo=parsed.slo,
        grpc=parsed.grpc,
        api_key=parsed.api_key,
    )


def users_at(options: LoadOptions, users: int, at_s: float) -> int:
    """How many users there are at a time from the start; 0 after the last step.

    In the open model a user is a slot for a request under way, and there is always the same
    number of them.
    """
    if options.steps and not options.steps.load_at(at_s):
        return 0
    if options.is_open:
        return options.in_flight
    return math.ceil(options.steps.load_at(at_s)) if options.steps else users
