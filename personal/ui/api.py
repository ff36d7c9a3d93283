"""Endpoints for programs: look, ask, add, list and forget, for `gradio_client` and plain HTTP.

They act for the owner whose cookie the caller has: the owner of the machine on loopback, else a guest of their own,
whose concepts last as long as the client. docs/deployment.md has examples. Gradio reads the types below when the page
is built, so annotations are not postponed here.
"""

from typing import Any, cast

import gradio as gr

from personal.concepts import Answer, Photo, Turn
from personal.errors import PersonalError
from personal.records import concept_record, match_record
from personal.ui.context import AppContext
from personal.ui.gradio_internals import NONSENSE
from personal.ui.places import hidden


class Api:
    """The endpoints. A PersonalError reaches the caller as words, and changes nothing."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._hide = hidden(context.settings)

    def build(self) -> None:
        """Offer the endpoints, inside a Blocks."""
        for name, function in (
            ("look", self.look),
            ("ask", self.ask),
            ("add", self.add),
            ("list", self.list_concepts),
            ("forget", self.forget),
        ):
            cast(Any, gr).api(function, api_name=name)

    def look(self, photo: gr.FileData, request: gr.Request) -> dict[str, Any]:
        """Say which of your concepts are in a photo: their names, similarities and boxes, best first."""
        try:
            owner = self._context.session(request).owner
            look = self._context.assistant.look(owner, self._read(photo))
        except PersonalError as error:
            raise self._refusal(error) from error
        return {"matches": [match_record(match) for match in look.matches], "seconds": round(look.seconds, 4)}

    def ask(self, photo: gr.FileData | None, question: str, request: gr.Request) -> dict[str, Any]:
        """Answer a question about a photo, or about your concepts without one; `known` is what needs no model."""
        try:
            owner = self._context.session(request).owner
            if not isinstance(question, str) or not question.strip():
                raise PersonalError("Ask something: the question is empty.")
            photos = (self._read(photo),) if photo else ()
            *_, answer = self._context.assistant.answer(owner, [Turn(question.strip(), photos)])
        except PersonalError as error:
            raise self._refusal(error) from error
        assert isinstance(answer, Answer)
        known = answer.look.statement
        return {
            "answer": answer.text,
            "known": known.text if known else None,
            "matches": [match_record(match) for match in answer.look.matches],
            "model": answer.model,
        }

    def add(
        self,
        name: str,
        photos: list[gr.FileData],
        category: str = "",
        notes: str = "",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict[str, Any]:
        """Add a concept by its photos; one that exists gains them."""
        try:
            owner = self._context.session(request).owner
            if not isinstance(photos, list) or not photos:
                raise PersonalError("Add at least one photo.")
            read = [self._read(photo) for photo in photos]
            concept = self._context.assistant.remember(owner, str(name), read, str(category or ""), str(notes or ""))
        except PersonalError as error:
            raise self._refusal(error) from error
        return concept_record(concept)

    def list_concepts(self, request: gr.Request) -> list[dict[str, Any]]:
        """List your concepts, oldest first."""
        try:
            owner = self._context.session(request).owner
            return [concept_record(concept) for concept in self._context.assistant.concepts(owner)]
        except PersonalError as error:
            raise self._refusal(error) from error

    def forget(self, name: str, request: gr.Request) -> dict[str, Any]:
        """Forget a concept and its photos; the page can bring it back for ten minutes."""
        try:
            owner = self._context.session(request).owner
            concept = self._context.assistant.library.lookup(owner, str(name))
            if concept is None:
                raise PersonalError(f"There is no concept called {name}.")
            self._context.assistant.forget(owner, concept.id)
        except PersonalError as error:
            raise self._refusal(error) from error
        return {"forgotten": concept.name}

    def _read(self, photo: Any) -> Photo:
        path = photo.get("path") if isinstance(photo, dict) else None
        if not isinstance(path, str):
            raise PersonalError(NONSENSE)
        return self._context.take(path)

    def _refusal(self, error: PersonalError) -> gr.Error:
        return gr.Error(self._hide(str(error)), print_exception=False)
