"""The list of conversations beside the thread, and what is done with them: begin, open, search, rename, export, delete.

On a narrow screen it opens over the page (`assets/app.js`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from personal.conversations import MAX_REMARK, MAX_TITLE, Conversation
from personal.errors import PersonalError
from personal.remember.conversations import MAX_CONVERSATIONS
from personal.ui import render
from personal.ui.chat.composer import Composer
from personal.ui.chat.photos import Photos
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.exports import DOWNLOAD
from personal.ui.sessions import Session

SEARCH_MAX = 100
"""Characters of a search that count."""
NEARLY_FULL = MAX_CONVERSATIONS - 50
"""Kept conversations from which on their number is told."""
TEMPORARY = "Temporary chat: nothing of it is kept on disk."


class Conversations:
    """The components and handlers; `draw_all` draws the whole tab."""

    def __init__(
        self, context: AppContext, photos: Photos, composer: Composer, draw_all: Callable[[Session], Updates]
    ) -> None:
        self._context = context
        self._photos = photos
        self._composer = composer
        self._draw_all = draw_all

    def build(self) -> None:
        """Make the list, in a column of its own."""
        with gr.Column(scale=0, min_width=248, elem_id="sidebar"):
            with gr.Row(elem_classes="talks"):
                self.fresh = gr.Button("New", size="sm", min_width=60, elem_id="new-chat")
                self.temporary = gr.Button(
                    "Temporary chat",
                    size="sm",
                    min_width=120,
                    elem_id="temporary-chat",
                )
                gr.Button("Close", size="sm", min_width=60, elem_id="close-chats")
            self.search = gr.Textbox(
                placeholder="Search chats", show_label=False, label="Search chats", container=False, elem_id="find-chat"
            )
            self.list = html(elem_id="chats")
            self.link = html(elem_id="chat-download", js_on_load=DOWNLOAD)

    def build_bar(self) -> None:
        """Make what stands above the thread: the way to the list on a narrow screen, and what is not kept."""
        with gr.Row(elem_classes="talks", elem_id="chat-bar"):
            gr.Button("Chats", size="sm", min_width=60, elem_id="open-chats")
            self.fresh_too = gr.Button("New", size="sm", min_width=60)
        self.note = html(elem_id="chat-note")
        self.drawn = [self.list, self.note, self.temporary]
        """What `draw` may return."""
        self.fields = [self.link]
        """What handlers may return besides."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the handlers."""
        self.notice = self._composer.notice
        for button in (self.fresh, self.fresh_too):
            button.click(self.begin, None, **quiet)
        self.temporary.click(self.begin_temporary, None, **quiet)
        self.search.change(self.find, self.search, **quiet)
        self.list.select(self.on_list, None, **quiet)

    def draw(self, session: Session) -> Updates:
        """Return the list, and what must be known of the conversation that is shown."""
        talk = session.conversation
        note = f"Not saved. {session.history.problem}" if session.history.problem else ""
        return {
            self.list: self._draw_list(session),
            self.note: render.note(TEMPORARY if talk.temporary else note),
            self.temporary: gr.Button(visible=session.history.keeps),
        }

    def _draw_list(self, session: Session) -> str:
        history = session.history
        listed = history.all(session.chat_search)
        full = len(listed) >= NEARLY_FULL and history.keeps and not session.chat_search
        return render.chats(
            listed,
            session.conversation.id,
            searched=bool(session.chat_search),
            everything=session.all_chats,
            note=f"{len(listed)} chats; {MAX_CONVERSATIONS} can be kept." if full else "",
        )

    # -- which is shown ----------------------------------------------------------------------------------------------

    @show_errors
    def on_list(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Do what was clicked, or typed, in the list."""
        session, data = self._context.session(request), event._data
        act, chat = data.get("act"), str(data.get("chat"))
        if act == "chat":
            return self.choose(chat, request)
        if act == "delete":
            return self.drop(session, chat)
        if act == "export":
            session.history.open(chat)
            return {self.link: f"personal/export/{self._context.sessions.download(session, chat)}", self.notice: ""}
        if act == "rename":
            return self.rename(session, chat, str(data.get("title") or ""))
        if act == "all":
            session.all_chats = True
            return {self.list: self._draw_list(session)}
        return {}

    @show_errors
    def choose(self, conversation_id: str, request: gr.Request) -> Updates:
        """Show another conversation."""
        session = self._context.session(request)
        return self._show(session, session.history.open(conversation_id))

    def _show(self, session: Session, talk: Conversation) -> Updates:
        """Show a conversation: what is typed goes along, unless it is an edited question of the one before."""
        left = session.conversation
        emptied = None if left.editing is None else ""
        left.editing = None
        session.current = talk.id
        if talk.active not in talk.findings:  # a sample's photo waits to be looked at
            self._photos.look_again(session)
        field = self._composer.field(talk, emptied)
        return {**self._draw_all(session), self.notice: "", self._composer.box: field}

    @show_errors
    def begin(self, request: gr.Request) -> Updates:
        """Start a new conversation, unless there is one in which nothing was said yet."""
        session = self._context.session(request)
        return self._show(session, session.history.blank())

    @show_errors
    def begin_temporary(self, request: gr.Request) -> Updates:
        """Start a conversation that is not kept."""
        session = self._context.session(request)
        return self._show(session, session.history.begin_temporary())

    @show_errors
    def find(self, search: str, request: gr.Request) -> Updates:
        """List the conversations that are searched for."""
        session = self._context.session(request)
        session.chat_search, session.all_chats = (search or "")[:SEARCH_MAX], False
        return {self.list: self._draw_list(session)}

    # -- changes -----------------------------------------------------------------------------------------------------

    def rename(self, session: Session, conversation_id: str, title: str) -> Updates:
        """Give a conversation a title; without one its first question is it."""
        talk = session.history.open(conversation_id)
        title = " ".join("".join(sign if sign.isprintable() else " " for sign in title).split())
        if len(title) > MAX_TITLE:
            raise PersonalError(f"A title has at most {MAX_TITLE} characters. Shorten it.")
        talk.name = title
        session.history.keep(talk)
        return {**self._draw_all(session), self.notice: ""}

    def drop(self, session: Session, conversation_id: str) -> Updates:
        """Delete a conversation; it can be brought back."""
        if not any(one.id == conversation_id for one in session.history.all()):
            return self._draw_all(session)  # a double click deletes one
        was, restore = session.current, session.history.delete(conversation_id)
        if was == conversation_id:
            session.current = session.history.latest().id

        def back() -> str:
            restore()
            session.current = conversation_id
            return "The chat is back."

        session.undo = back
        toast = render.toast("The chat was deleted.", undo=True)
        return {**self._draw_all(session), self.notice: "", self._context.toast: toast}

    def rate(self, session: Session, data: dict[str, Any]) -> Updates:
        """Keep a thumb up or down, or a word about an answer; the same thumb again takes both back."""
        entries, number = session.conversation.entries, str(data.get("entry", ""))
        if not number.isdigit() or int(number) >= len(entries):
            return {}
        entry, toast = entries[int(number)], ""
        if data.get("act") == "remark" and entry.rating:
            entry.remark = str(data.get("remark") or "").strip()[:MAX_REMARK]
            toast = render.toast("Saved with the answer.")
        elif data.get("rating") in ("up", "down"):
            same = entry.rating == data["rating"]
            entry.rating, entry.remark = "" if same else data["rating"], "" if same else entry.remark
        return {**self._draw_all(session), self._context.toast: toast}
