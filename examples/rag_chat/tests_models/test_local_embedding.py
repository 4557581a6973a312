"""The embedding model in this process, with its real weights: `make test-models`, which installs them."""

from __future__ import annotations

import pytest

from rag_chat.local_embedding import LocalEmbedder, find_weights

EATING = ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    folder = find_weights(None)
    assert folder is not None, "make embeddings installs the weights"
    return LocalEmbedder(folder)


def nearness(one: list[float], other: list[float]) -> float:
    return sum(here * there for here, there in zip(one, other, strict=True))


async def test_vectors_are_those_the_model_was_published_with(embedder: LocalEmbedder) -> None:
    vectors = await embedder.embed(EATING)
    assert [len(vector) for vector in vectors] == [384, 384, 384]
    assert nearness(vectors[0], vectors[0]) == pytest.approx(1.0, abs=1e-4)
    # The similarity that its authors give for these two sentences.
    assert nearness(vectors[0], vectors[1]) == pytest.approx(0.7553, abs=2e-3)
    assert nearness(vectors[0], vectors[2]) < 0.1


async def test_a_vector_does_not_depend_on_what_it_is_made_together_with(embedder: LocalEmbedder) -> None:
    long = "The engine keeps each task, and what became of it, in its database. " * 40
    together = await embedder.embed([EATING[0], long, "", EATING[1], *EATING * 3])
    [alone] = await embedder.embed([EATING[0]])
    assert nearness(alone, together[0]) == pytest.approx(1.0, abs=1e-4)
    assert nearness(alone, together[4]) == pytest.approx(1.0, abs=1e-4)
    assert len(together) == 13 and all(together)
