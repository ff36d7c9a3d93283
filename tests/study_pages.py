"""Somebody who takes part in a study without a browser: its forms over HTTP, as they stand in the pages."""

from __future__ import annotations

import html
import re

STUDY = """
title: Two assistants
consent: {text: "Please *read* this."}
eligibility:
  - {id: adult, text: "Are you 18 or older?", options: ["Yes", "No"], accept: ["Yes"]}
conditions:
  - {id: with_memory}
  - {id: without_memory, memory: false}
concepts: {kind: own, minimum: 1}
tasks:
  - {id: look, type: chat, title: Look at it, instructions: Ask about it., photos: own, starters: ["What is it?"]}
  - {id: which, type: ab, title: "Which is better?", instructions: Ask both., photos: own}
  - id: one
    type: rate
    title: One answer
    instructions: Read it.
    photos: own
    question: What does this photo show?
    items: [{id: good, kind: likert, text: It is good., points: 7, low: not at all, high: completely}]
questionnaires:
  - {id: sus, scale: sus}
  - {id: load, scale: tlx}
  - {id: last, title: Last questions, items: [{id: why, kind: text, text: "Why?", required: false}]}
after_condition: [sus, load]
final: [last]
debrief: One of them had **no memory**.
completion: {code: DONE123, link: "https://example.org/done"}
screened_out: {text: Only for adults., code: OUT1}
log: {text: text, photos: hashed}
retention: 2099-12-31
"""
"""A study with a step of every kind."""


class Form:
    """A form of a page: where it goes, and the fields that are filled in already."""

    def __init__(self, text: str) -> None:
        head, self.body = text.split(">", 1)
        self.action = html.unescape(re.search(r'action="([^"]*)"', head)[1])
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.body)
        self.fields = {name: html.unescape(value) for name, value in hidden}


class Someone:
    """A participant: the page they see, by a link."""

    def __init__(self, client, study="two", pid="5f0c1a2b3c4d5e6f70819203", **query) -> None:
        self.client = client
        self.link = f"/study/{study}?PROLIFIC_PID={pid}"
        self.answer = client.get(self.link, follow_redirects=True)

    @property
    def page(self) -> str:
        return self.answer.text

    @property
    def heading(self) -> str:
        return html.unescape(re.search(r"<h1>(.*?)</h1>", self.page, re.DOTALL)[1])

    @property
    def place(self) -> str:
        return self.answer.url.path

    def refresh(self, link="") -> Someone:
        self.answer = self.client.get(link or self.link, follow_redirects=True)
        return self

    def form(self, action: str) -> Form:
        """The form that goes to a part of the step, or to the step itself for ""."""
        forms = [Form(text) for text in re.findall(r"<form(.*?)</form>", self.page, re.DOTALL)]
        (found,) = [one for one in forms if one.action.partition("?")[0].endswith(action or self.place)][:1]
        return found

    def send(self, action="", files=None, **fields) -> Someone:
        """Send a form, and see what follows."""
        form = self.form(action)
        data = {**form.fields, **fields}
        self.answer = self.client.post(form.action, data=data, files=files, follow_redirects=True)
        return self

    def agree(self) -> Someone:
        return self.send(agree="yes")

    def fill_in(self, **fields) -> Someone:
        """Answer all questions of a page, the first choice of each if not said otherwise."""
        given = {name: "1" for name in re.findall(r'data-name="(\w+)"', self.page)}
        for name, value in re.findall(r'type="radio" name="(\w+)" value="([^"]*)"', self.page):
            given.setdefault(name, html.unescape(value))
        return self.send(**{**given, **fields})

    def add(self, name, jpeg) -> Someone:
        return self.send("/concepts", files=[("photos", ("a.jpg", jpeg, "image/jpeg"))], name=name)

    def ask(self, question="What is it?", jpeg=None, **fields) -> Someone:
        """Ask, wait for the answer, and see the page with it."""
        files = {"photo": ("b.jpg", jpeg, "image/jpeg")} if jpeg else None
        here = self.place
        self.send("/ask", files=files, question=question, **fields)
        if self.answer.status_code == 200:
            self.client.get(f"{here}/live")
            self.refresh(here)
        return self
