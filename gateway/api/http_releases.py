"""`/v1/releases`: what answers, and the calls that change it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.responses import Response

from gateway.api.auth import GuardedRoute
from gateway.api.documented import problems
from gateway.api.request_parts import GatewayOf, json_response
from gateway.api.schemas import Strict
from gateway.domain.ports import Aliases
from gateway.domain.trial import Trial
from gateway.services.active_release import ActiveRelease
from gateway.services.encoder import IMAGE_INPUT, TEXT_INPUT
from gateway.services.release_build import BuildLimits, BuildProgress
from gateway.services.release_status import ReleaseStatus

router = APIRouter(
    prefix="/v1/releases",
    tags=["releases"],
    route_class=GuardedRoute,
    responses=problems(401, 403, 429, 503),
)
admin = APIRouter(
    prefix="/v1/releases",
    tags=["admin"],
    route_class=GuardedRoute,
    responses=problems(400, 401, 403, 404, 409, 413, 422, 429, 503, 504),
)

PROBLEMS_SHOWN = 100


class BuildIn(Strict):
    """How a build is done."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"most_failed": 0.01}]})

    most_failed: float = Field(
        0.01, ge=0, le=1, description="Share of items whose pictures may have become unusable."
    )
    most_per_s: float | None = Field(
        None, gt=0, description="Items copied a second; as many as can be, if unset."
    )


class ActivateIn(Strict):
    """What an activation puts up with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"most_missing": 0}]})

    most_missing: int = Field(0, ge=0, description="Items that may be missing or out of date.")


class RollbackIn(Strict):
    """What a rollback puts up with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"force": False}]})

    force: bool = Field(False, description="Go back even if changes did not reach that release.")


class TrialIn(Strict):
    """What a candidate gets of the live searches; shares are 0 to 1."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"release": "clip-b32", "canary": 0.05}]}
    )

    release: str
    canary: float = Field(0.0, ge=0, le=1, description="Share that it answers.")
    shadow: float = Field(0.0, ge=0, le=1, description="Share that it gets a copy of.")


@router.get("/active")
async def active(gateway: GatewayOf) -> Response:
    """The active release, in the shape of KServe's model metadata, with what a search needs to
    know of it besides."""
    return json_response(_metadata(gateway.releases.active()))


@admin.get("")
async def listed(gateway: GatewayOf) -> Response:
    """Every release, and what it is at the moment."""
    statuses = await gateway.lifecycle.list()
    shadow = gateway.shadow.report()
    report = None
    if shadow is not None:
        report = {
            "release": shadow.release,
            "compared": shadow.compared,
            "overlap_at_10": shadow.overlap,
            "rank_correlation": shadow.rank_correlation,
            "difference_s": shadow.difference_s,
        }
    return json_response({"releases": [_status(s) for s in statuses], "shadow": report})


@admin.get("/{release_id}")
async def one(release_id: str, gateway: GatewayOf) -> Response:
    """One release."""
    return json_response(_status(await gateway.lifecycle.status(release_id)))


@admin.post("/{release_id}/build", status_code=202)
async def build(release_id: str, gateway: GatewayOf, body: BuildIn | None = None) -> Response:
    """Starts to fill the release's collection beside the active one; asked again, it says how far
    it is. Stopped or killed, it goes on where it was."""
    asked = body or BuildIn()
    limits = BuildLimits(asked.most_failed, asked.most_per_s)
    return json_response(_build(gateway.lifecycle.start_build(release_id, limits)), status=202)


@admin.delete("/{release_id}/build", status_code=204)
async def stop_build(release_id: str, gateway: GatewayOf) -> Response:
    """Stops a build; what it has done stays."""
    await gateway.lifecycle.stop_build(release_id)
    return Response(status_code=204)


@admin.post("/{release_id}/activate")
async def activate(release_id: str, gateway: GatewayOf, body: ActivateIn | None = None) -> Response:
    """Makes the release answer, if it is complete and right; every gateway follows in a second."""
    asked = body or ActivateIn()
    return json_response(_aliases(await gateway.lifecycle.activate(release_id, asked.most_missing)))


@admin.post("/rollback")
async def rollback(gateway: GatewayOf, body: RollbackIn | None = None) -> Response:
    """Makes the release before answer again."""
    asked = body or RollbackIn()
    return json_response(_aliases(await gateway.lifecycle.rollback(asked.force)))


@admin.put("/trial")
async def start_trial(body: TrialIn, gateway: GatewayOf) -> Response:
    """Tries a candidate on a share of the live searches."""
    trial = Trial(body.release, body.canary, body.shadow)
    await gateway.lifecycle.set_trial(trial)
    return json_response(body.model_dump())


@admin.delete("/trial", status_code=204)
async def end_trial(gateway: GatewayOf) -> Response:
    """Ends the trial, if there is one."""
    await gateway.lifecycle.set_trial(None)
    return Response(status_code=204)


@admin.delete("/{release_id}", status_code=204)
async def retire(release_id: str, gateway: GatewayOf) -> Response:
    """Deletes a release's collection and unloads its towers; its files stay."""
    await gateway.lifecycle.retire(release_id)
    return Response(status_code=204)


def _aliases(aliases: Aliases) -> dict[str, Any]:
    return {"active": aliases.active, "previous": aliases.previous}


def _status(status: ReleaseStatus) -> dict[str, Any]:
    trial, progress = status.trial, status.build
    return {
        "id": status.id,
        "state": status.state,
        "architecture": status.architecture,
        "precision": status.precision,
        "dim": status.dim,
        "fingerprint": status.fingerprint,
        "points": status.points,
        "made_at_s": status.made_at_s,
        "evaluation": None if status.evaluation is None else dict(status.evaluation),
        "trial": None if trial is None else {"canary": trial.canary, "shadow": trial.shadow},
        "build": None if progress is None else _build(progress),
        "problem": status.problem,
    }


def _build(progress: BuildProgress) -> dict[str, Any]:
    problems = list(progress.problems.items())
    return {
        "release": progress.release,
        "state": progress.state,
        "items": progress.items,
        "done": progress.done,
        "embedded": progress.embedded,
        "items_per_second": progress.rate,
        "remaining_s": progress.remaining_s,
        "failed": len(problems),
        "problems": [{"id": i, "detail": why} for i, why in problems[:PROBLEMS_SHOWN]],
        "reason": progress.reason,
    }


def _metadata(active: ActiveRelease) -> dict[str, Any]:
    release = active.loaded.release
    image, text = release.image, release.text
    return {
        "name": release.id,
        "versions": ["1"],
        "platform": release.target,
        "inputs": [
            {
                "name": IMAGE_INPUT,
                "datatype": "UINT8",
                "shape": [-1, image.height_px, image.width_px, 3],
            },
            {"name": TEXT_INPUT, "datatype": "INT64", "shape": [-1, -1]},
        ],
        "outputs": [{"name": "vector", "datatype": "FP32", "shape": [-1, release.dim]}],
        "architecture": release.architecture,
        "precision": release.precision,
        "fingerprint": release.fingerprint,
        "context_length": text.context_length,
        "filterable_fields": dict(active.collection.fields),
    }
