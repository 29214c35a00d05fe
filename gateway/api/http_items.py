"""`/v1/items`: the catalogue read and kept in step."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from gateway.api.auth import GuardedRoute
from gateway.api.documented import answers, problems
from gateway.api.item_schemas import BatchIn, BatchOut, ItemBody, ItemShown, ItemStatus
from gateway.api.problems import describe
from gateway.api.request_parts import GatewayOf, ReadDeadline, WriteDeadline, json_response
from gateway.domain.errors import NotFound
from gateway.services.item_writer import ItemOutcome

router = APIRouter(
    prefix="/v1/items",
    tags=["items"],
    route_class=GuardedRoute,
    responses=problems(401, 403, 404, 422, 429, 503, 504),
)


@router.post("/batch", responses=answers(BatchOut) | problems(400, 413))
async def batch(body: BatchIn, gateway: GatewayOf, deadline: WriteDeadline) -> Response:
    """Writes and deletes many items. The answer says of each what became of it; the call itself
    fails only if a backend does."""
    active = gateway.releases.active()
    items = [item.to_domain(item.id) for item in body.upsert]
    outcomes = await gateway.catalog.upsert(items, active, deadline) if items else []
    statuses = [_status(outcome) for outcome in outcomes]
    found = await gateway.catalog.delete(body.delete, active, deadline)
    statuses += [
        ItemStatus(id=item_id, status="deleted" if was_there else "absent")
        for item_id, was_there in zip(body.delete, found, strict=True)
    ]
    return json_response({"results": [s.model_dump(exclude_none=True) for s in statuses]})


@router.get("/{item_id:path}", responses=answers(ItemShown))
async def read(item_id: str, gateway: GatewayOf, deadline: ReadDeadline) -> Response:
    """One item as it stands in the index."""
    return json_response(await gateway.search.item(item_id, deadline))


@router.put("/{item_id:path}", responses=answers(ItemStatus) | problems(400, 413))
async def write(
    item_id: str, body: ItemBody, gateway: GatewayOf, deadline: WriteDeadline
) -> Response:
    """Adds or replaces one item; searchable, and durable, when this returns."""
    active = gateway.releases.active()
    [outcome] = await gateway.catalog.upsert([body.to_domain(item_id)], active, deadline)
    if outcome.error is not None:
        raise outcome.error
    return json_response(_status(outcome).model_dump(exclude_none=True))


@router.delete("/{item_id:path}", status_code=204)
async def delete(item_id: str, gateway: GatewayOf, deadline: WriteDeadline) -> Response:
    """Removes one item."""
    active = gateway.releases.active()
    [was_there] = await gateway.catalog.delete([item_id], active, deadline)
    if not was_there:
        raise NotFound(f"The catalogue has no item {item_id!r}.", field="id")
    return Response(status_code=204)


def _status(outcome: ItemOutcome) -> ItemStatus:
    return ItemStatus(
        id=outcome.item_id,
        status="indexed" if outcome.error is None else "failed",
        embedded=outcome.embedded,
        skipped_pictures=[problem.detail for problem in outcome.skipped],
        problem=None if outcome.error is None else describe(outcome.error),
    )
