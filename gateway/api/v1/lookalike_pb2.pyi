from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_VECTOR: _ClassVar[Mode]
    MODE_TEXT: _ClassVar[Mode]
    MODE_HYBRID: _ClassVar[Mode]

class Fusion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUSION_UNSPECIFIED: _ClassVar[Fusion]
    FUSION_RRF: _ClassVar[Fusion]
    FUSION_DBSF: _ClassVar[Fusion]

class Strategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STRATEGY_UNSPECIFIED: _ClassVar[Strategy]
    STRATEGY_WEIGHTED_SUM: _ClassVar[Strategy]
    STRATEGY_AVERAGE_VECTOR: _ClassVar[Strategy]
    STRATEGY_BEST_SCORE: _ClassVar[Strategy]
MODE_UNSPECIFIED: Mode
MODE_VECTOR: Mode
MODE_TEXT: Mode
MODE_HYBRID: Mode
FUSION_UNSPECIFIED: Fusion
FUSION_RRF: Fusion
FUSION_DBSF: Fusion
STRATEGY_UNSPECIFIED: Strategy
STRATEGY_WEIGHTED_SUM: Strategy
STRATEGY_AVERAGE_VECTOR: Strategy
STRATEGY_BEST_SCORE: Strategy

class Crop(_message.Message):
    __slots__ = ("left", "top", "right", "bottom")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_FIELD_NUMBER: _ClassVar[int]
    left: float
    top: float
    right: float
    bottom: float
    def __init__(self, left: _Optional[float] = ..., top: _Optional[float] = ..., right: _Optional[float] = ..., bottom: _Optional[float] = ...) -> None: ...

class Vector(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("text", "image", "item", "vector", "token", "image_url", "weight", "crop")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    text: str
    image: bytes
    item: str
    vector: Vector
    token: str
    image_url: str
    weight: float
    crop: Crop
    def __init__(self, text: _Optional[str] = ..., image: _Optional[bytes] = ..., item: _Optional[str] = ..., vector: _Optional[_Union[Vector, _Mapping]] = ..., token: _Optional[str] = ..., image_url: _Optional[str] = ..., weight: _Optional[float] = ..., crop: _Optional[_Union[Crop, _Mapping]] = ...) -> None: ...

class LegWeights(_message.Message):
    __slots__ = ("vector", "text")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    vector: float
    text: float
    def __init__(self, vector: _Optional[float] = ..., text: _Optional[float] = ...) -> None: ...

class Boost(_message.Message):
    __slots__ = ("field", "weight", "flag", "popularity", "freshness", "proximity")
    class Flag(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Popularity(_message.Message):
        __slots__ = ("scale",)
        SCALE_FIELD_NUMBER: _ClassVar[int]
        scale: float
        def __init__(self, scale: _Optional[float] = ...) -> None: ...
    class Freshness(_message.Message):
        __slots__ = ("half_life_days",)
        HALF_LIFE_DAYS_FIELD_NUMBER: _ClassVar[int]
        half_life_days: float
        def __init__(self, half_life_days: _Optional[float] = ...) -> None: ...
    class Proximity(_message.Message):
        __slots__ = ("target", "scale")
        TARGET_FIELD_NUMBER: _ClassVar[int]
        SCALE_FIELD_NUMBER: _ClassVar[int]
        target: float
        scale: float
        def __init__(self, target: _Optional[float] = ..., scale: _Optional[float] = ...) -> None: ...
    FIELD_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    POPULARITY_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    PROXIMITY_FIELD_NUMBER: _ClassVar[int]
    field: str
    weight: float
    flag: Boost.Flag
    popularity: Boost.Popularity
    freshness: Boost.Freshness
    proximity: Boost.Proximity
    def __init__(self, field: _Optional[str] = ..., weight: _Optional[float] = ..., flag: _Optional[_Union[Boost.Flag, _Mapping]] = ..., popularity: _Optional[_Union[Boost.Popularity, _Mapping]] = ..., freshness: _Optional[_Union[Boost.Freshness, _Mapping]] = ..., proximity: _Optional[_Union[Boost.Proximity, _Mapping]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("query", "mode", "filter", "limit", "offset", "min_score", "fields", "fusion", "weights", "strategy", "rescore", "diversity", "boosts", "group_by", "facets", "return_query", "scores")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    RESCORE_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    BOOSTS_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    RETURN_QUERY_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    query: _containers.RepeatedCompositeFieldContainer[Part]
    mode: Mode
    filter: _struct_pb2.Struct
    limit: int
    offset: int
    min_score: float
    fields: _containers.RepeatedScalarFieldContainer[str]
    fusion: Fusion
    weights: LegWeights
    strategy: Strategy
    rescore: bool
    diversity: float
    boosts: _containers.RepeatedCompositeFieldContainer[Boost]
    group_by: str
    facets: _containers.RepeatedScalarFieldContainer[str]
    return_query: bool
    scores: bool
    def __init__(self, query: _Optional[_Iterable[_Union[Part, _Mapping]]] = ..., mode: _Optional[_Union[Mode, str]] = ..., filter: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., min_score: _Optional[float] = ..., fields: _Optional[_Iterable[str]] = ..., fusion: _Optional[_Union[Fusion, str]] = ..., weights: _Optional[_Union[LegWeights, _Mapping]] = ..., strategy: _Optional[_Union[Strategy, str]] = ..., rescore: _Optional[bool] = ..., diversity: _Optional[float] = ..., boosts: _Optional[_Iterable[_Union[Boost, _Mapping]]] = ..., group_by: _Optional[str] = ..., facets: _Optional[_Iterable[str]] = ..., return_query: _Optional[bool] = ..., scores: _Optional[bool] = ...) -> None: ...

class FacetCount(_message.Message):
    __slots__ = ("value", "count")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    value: _struct_pb2.Value
    count: int
    def __init__(self, value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class Facet(_message.Message):
    __slots__ = ("field", "counts")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    field: str
    counts: _containers.RepeatedCompositeFieldContainer[FacetCount]
    def __init__(self, field: _Optional[str] = ..., counts: _Optional[_Iterable[_Union[FacetCount, _Mapping]]] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("id", "score", "picture", "item", "group", "others", "scores")
    class ScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    id: str
    score: float
    picture: str
    item: _struct_pb2.Struct
    group: _struct_pb2.Value
    others: _containers.RepeatedScalarFieldContainer[str]
    scores: _containers.ScalarMap[str, float]
    def __init__(self, id: _Optional[str] = ..., score: _Optional[float] = ..., picture: _Optional[str] = ..., item: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., group: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., others: _Optional[_Iterable[str]] = ..., scores: _Optional[_Mapping[str, float]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("hits", "release", "mode", "timings", "facets", "query_token", "confident", "degraded")
    class TimingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    HITS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    QUERY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONFIDENT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    release: str
    mode: Mode
    timings: _containers.ScalarMap[str, float]
    facets: _containers.RepeatedCompositeFieldContainer[Facet]
    query_token: str
    confident: bool
    degraded: bool
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., release: _Optional[str] = ..., mode: _Optional[_Union[Mode, str]] = ..., timings: _Optional[_Mapping[str, float]] = ..., facets: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., query_token: _Optional[str] = ..., confident: _Optional[bool] = ..., degraded: _Optional[bool] = ...) -> None: ...

class StreamedSearch(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    request: SearchRequest
    def __init__(self, id: _Optional[str] = ..., request: _Optional[_Union[SearchRequest, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "reason", "message", "field")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    field: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., field: _Optional[str] = ...) -> None: ...

class StreamedAnswer(_message.Message):
    __slots__ = ("id", "response", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    response: SearchResponse
    error: Error
    def __init__(self, id: _Optional[str] = ..., response: _Optional[_Union[SearchResponse, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class EmbedRequest(_message.Message):
    __slots__ = ("inputs",)
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[Part]
    def __init__(self, inputs: _Optional[_Iterable[_Union[Part, _Mapping]]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("vectors", "release")
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    vectors: _containers.RepeatedCompositeFieldContainer[Vector]
    release: str
    def __init__(self, vectors: _Optional[_Iterable[_Union[Vector, _Mapping]]] = ..., release: _Optional[str] = ...) -> None: ...

class Location(_message.Message):
    __slots__ = ("lat", "lon")
    LAT_FIELD_NUMBER: _ClassVar[int]
    LON_FIELD_NUMBER: _ClassVar[int]
    lat: float
    lon: float
    def __init__(self, lat: _Optional[float] = ..., lon: _Optional[float] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("id", "title", "pictures", "description", "category", "brand", "price", "attributes", "location")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    BRAND_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    pictures: _containers.RepeatedScalarFieldContainer[str]
    description: str
    category: str
    brand: str
    price: float
    attributes: _struct_pb2.Struct
    location: Location
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., pictures: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., category: _Optional[str] = ..., brand: _Optional[str] = ..., price: _Optional[float] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., location: _Optional[_Union[Location, _Mapping]] = ...) -> None: ...

class ItemStatus(_message.Message):
    __slots__ = ("id", "outcome", "embedded", "skipped_pictures", "error")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[ItemStatus.Outcome]
        OUTCOME_INDEXED: _ClassVar[ItemStatus.Outcome]
        OUTCOME_DELETED: _ClassVar[ItemStatus.Outcome]
        OUTCOME_ABSENT: _ClassVar[ItemStatus.Outcome]
        OUTCOME_FAILED: _ClassVar[ItemStatus.Outcome]
    OUTCOME_UNSPECIFIED: ItemStatus.Outcome
    OUTCOME_INDEXED: ItemStatus.Outcome
    OUTCOME_DELETED: ItemStatus.Outcome
    OUTCOME_ABSENT: ItemStatus.Outcome
    OUTCOME_FAILED: ItemStatus.Outcome
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_PICTURES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    outcome: ItemStatus.Outcome
    embedded: int
    skipped_pictures: _containers.RepeatedScalarFieldContainer[str]
    error: Error
    def __init__(self, id: _Optional[str] = ..., outcome: _Optional[_Union[ItemStatus.Outcome, str]] = ..., embedded: _Optional[int] = ..., skipped_pictures: _Optional[_Iterable[str]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class ItemStatuses(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ItemStatus]
    def __init__(self, results: _Optional[_Iterable[_Union[ItemStatus, _Mapping]]] = ...) -> None: ...

class DeleteItemsRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetItemRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...
