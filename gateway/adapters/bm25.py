"""BM25 term weights from Qdrant's own implementation, the same for both stores.

A document's weights hold term frequency and length; the other factor of BM25, how rare a word is
in the catalogue, is applied by the store at query time (the IDF modifier of the sparse vector).
"""

from __future__ import annotations

import qdrant_edge

from gateway.domain.errors import StartupProblem
from gateway.domain.plan import Sparse

# Title, description, category and brand of a shop's article. Qdrant's default of 256 is for
# pages of prose; with it, length would hardly count among texts that are all far shorter.
PRODUCT_TEXT_TOKENS = 24.0


class Bm25Model:
    """The weights of one language. Accents are folded, so that "cafe" finds "Café".

    `language` is an English word such as "german" and chooses stop words and stemmer;
    `mean_tokens` is the length of a text that is neither favoured nor punished.
    Raises StartupProblem for a language that has none. A change of either needs the catalogue
    to be indexed again, because document weights are stored.
    """

    def __init__(self, language: str = "english", mean_tokens: float = PRODUCT_TEXT_TOKENS) -> None:
        try:
            self._model = qdrant_edge.Bm25(
                qdrant_edge.Bm25Config(
                    language=language, avg_len=mean_tokens, lowercase=True, ascii_folding=True
                )
            )
        except ValueError as exc:
            raise StartupProblem(
                f"Full-text search cannot be set up for the language {language!r}: {exc}."
            ) from exc

    def document(self, text: str) -> Sparse:
        """Weights of an item's words; empty for text without words."""
        return _sparse(self._model.embed_document(text))

    def query(self, text: str) -> Sparse:
        """Weight 1 for each different word; empty for text without words."""
        return _sparse(self._model.embed_query(text))


def _sparse(vector: qdrant_edge.SparseVector) -> Sparse:
    return Sparse(tuple(vector.indices), tuple(vector.values))
