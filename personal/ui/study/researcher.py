"""The researcher's pages: make a study, check it, try it, run it, see how it goes, take its data and report.

All but signing in needs the password of the settings (`personal.ui.study.access`).
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path, PurePath
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from personal.errors import PersonalError
from personal.logs import report
from personal.remember import disk
from personal.study.advice import advice
from personal.study.document import Problem, StudyFileError
from personal.study.folder import examples
from personal.study.loading import read_study
from personal.study.progress import progress
from personal.study.responses import ResponseError
from personal.study.store import FILE, StudyStore
from personal.ui.accounts import TooManyAttempts
from personal.ui.doors import Refused
from personal.ui.study.access import Access, remember
from personal.ui.study.forms import Form, read_form
from personal.ui.study.pages import page
from personal.ui.study.rooms import NotReady, Rooms

HOME = "/studies"
WORDS = {"draft": "Draft", "running": "Running", "paused": "Paused", "closed": "Closed"}
NOT_YOURS = "Sign in first."
STATUSES = {"active": "taking part", "finished": "finished", "screened_out": "screened out"}

Make = Callable[[StudyStore, Form], Response]


class Researchers:
    """The routes of the researcher, ASGI endpoints."""

    def __init__(self, rooms: Rooms, access: Access) -> None:
        self._rooms = rooms
        self._access = access
        self._space = bool(rooms.settings.space)

    # -- signing in ----------------------------------------------------------------------------------------------

    async def home(self, request: Request) -> Response:
        """List the studies; ask for the password, or say how one is set."""
        if not self._access.known(request):
            return self._door({})
        return await run_in_threadpool(self._shown, lambda form: self._list({}, form), Form())

    async def sign_in(self, request: Request) -> Response:
        """Let in whoever knows the password."""
        try:
            password = (await read_form(request, self._rooms.settings)).values.get("password", [""])[0]
            token = self._access.sign_in(password, request.client.host if request.client else "")
        except TooManyAttempts as error:
            return self._door({"password": str(error)}, 429)
        except Refused as refusal:
            return PlainTextResponse(str(refusal), refusal.status)
        if token is None:
            return self._door({"password": "This is not the password."}, 403)
        secure = request.url.scheme == "https"
        return remember(RedirectResponse(HOME, 303), token, secure=secure)

    async def sign_out(self, request: Request) -> Response:
        """Let nobody in by this browser's cookie any more."""
        self._access.sign_out(request)
        return RedirectResponse(HOME, 303)

    def _door(self, errors: Mapping[str, str], status: int = 200) -> Response:
        possible = self._access.possible
        return self._page("studies.html", status, signed_in=False, possible=possible, errors=errors, title="Studies")

    # -- studies -------------------------------------------------------------------------------------------------

    def _list(self, errors: Mapping[str, str], form: Form) -> Response:
        rows = []
        for study_id in self._rooms.studies.ids():
            try:
                store = self._rooms.studies.get(study_id)
            except PersonalError as error:
                rows.append({"id": study_id, "title": str(error).splitlines()[0], "status": "", "people": ""})
                continue
            people = f"{len(store.participants())} of {store.study.participants}"
            rows.append({"id": study_id, "title": store.study.title, "status": WORDS[store.status], "people": people})
        return self._page(
            "studies.html",
            422 if errors else 200,
            signed_in=True,
            title="Studies",
            rows=rows,
            examples=list(examples()),
            errors=errors,
            values=form.values,
        )

    async def create(self, request: Request) -> Response:
        """Make a study from an example."""

        def make(form: Form) -> Response:
            texts = examples()
            text = texts.get(form.text("example"))
            if text is None:
                return self._list({"example": "Choose an example to begin with."}, form)
            try:
                store = self._rooms.studies.create(form.text("id"), text)
            except PersonalError as error:
                return self._list({"id": str(error)}, form)
            return RedirectResponse(f"{HOME}/{store.id}", 303)

        return await self._post(request, make)

    async def show(self, request: Request) -> Response:
        """Show a study: its file, how it goes, what can be done with it."""
        return await self._with(request, lambda store, form: self._study(request, store))

    async def save(self, request: Request) -> Response:
        """Check the file of a study, and save it unless only checking was asked for."""

        def save(store: StudyStore, form: Form) -> Response:
            text = form.values.get("text", [""])[0].replace("\r\n", "\n")
            try:
                if form.text("do") == "save":
                    store.revise(text)
                    return RedirectResponse(f"{HOME}/{store.id}", 303)
                read_study(store.folder / FILE, text=text)
            except StudyFileError as error:
                return self._study(request, store, text=text, problems=error.problems)
            except PersonalError as error:
                return self._study(request, store, text=text, notice=str(error))
            return self._study(request, store, text=text, notice="Nothing is wrong with this. It is not saved yet.")

        return await self._post_to(request, save)

    async def change(self, request: Request) -> Response:
        """Start, pause, go on with or close a study."""

        def change(store: StudyStore, form: Form) -> Response:
            try:
                store.change(form.text("status"))  # type: ignore[arg-type]
            except PersonalError as error:
                return self._study(request, store, notice=str(error))
            if store.status == "closed":
                self._rooms.close(store)
            return RedirectResponse(f"{HOME}/{store.id}", 303)

        return await self._post_to(request, change)

    async def add_photos(self, request: Request) -> Response:
        """Put photos beside a study's file, by the names that they have, for its tasks and given concepts."""

        def add(store: StudyStore, form: Form) -> Response:
            try:
                photos = form.photos("photos", self._rooms.settings)
                names = [PurePath(name.replace("\\", "/")).name for name, _ in form.files.get("photos", [])]
                for name, photo in zip(names, photos, strict=True):
                    store.add_photo(name, photo)
            except PersonalError as error:
                words = error.items["photos"] if isinstance(error, ResponseError) else str(error)
                return self._study(request, store, notice=words)
            return RedirectResponse(f"{HOME}/{store.id}", 303)

        return await self._post_to(request, add, photos=True)

    async def download(self, request: Request) -> Response:
        """Send the data, or the report, as a zip."""

        def send(store: StudyStore, form: Form) -> Response:
            what = request.url.path.rpartition("/")[2]
            try:
                content = self._zip(store, what)
            except PersonalError as error:
                return self._study(request, store, notice=str(error))
            headers = {"content-disposition": f'attachment; filename="{store.id}-{what}.zip"'}
            headers["cache-control"] = "no-store"
            return Response(content, media_type="application/zip", headers=headers)

        return await self._with(request, send)

    def _zip(self, store: StudyStore, what: str) -> bytes:
        from personal.study.export import export
        from personal.study.report import write_report

        place = self._rooms.settings.data_dir / "uploads"
        disk.make_dir(place)
        with tempfile.TemporaryDirectory(dir=place) as made, io.BytesIO() as stream:
            folder = Path(made)
            if what == "data":
                export(store, folder)
            else:
                write_report(store, folder)
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        archive.write(path, f"{store.id}-{what}/{path.relative_to(folder)}")
            return stream.getvalue()

    def _study(
        self,
        request: Request,
        store: StudyStore,
        *,
        text: str | None = None,
        problems: list[Problem] | None = None,
        notice: str = "",
    ) -> Response:
        """Return the page of a study; `text` is what was sent and not saved."""
        saved = (store.folder / FILE).read_text(encoding="utf-8")
        lines = (saved if text is None else text).splitlines()
        wrong = [(one, lines[one.line - 1] if 0 < one.line <= len(lines) else "") for one in problems or []]
        going, names = progress(store), store.study.parameters
        query = "&".join(f"{one}={{{{%{one}%}}}}" for one in (names.participant, names.study, names.session))
        return self._page(
            "study.html",
            422 if wrong or notice.startswith("A study that has begun") else 200,
            title=store.study.title,
            id=store.id,
            state=store.status,
            state_words=WORDS[store.status],
            words=STATUSES,
            text=saved if text is None else text,
            problems=wrong,
            advice=list(advice(store.study, date.today())) if store.status == "draft" else [],
            files=store.photo_names(),
            notice=notice,
            progress=going,
            steps=list(dict.fromkeys([*going.seconds, *going.standing])),
            link=f"{request.url.scheme}://{request.headers.get('host', '')}/study/{store.id}",
            query=query,
        )

    # -- inside --------------------------------------------------------------------------------------------------

    async def _post(self, request: Request, make: Callable[[Form], Response], *, photos: bool = False) -> Response:
        if not self._access.known(request):
            return self._door({"password": NOT_YOURS}, 403)
        try:
            form = await read_form(request, self._rooms.settings, photos=photos)
        except Refused as refusal:
            return PlainTextResponse(str(refusal), refusal.status)
        return await run_in_threadpool(self._shown, make, form)

    async def _post_to(self, request: Request, make: Make, *, photos: bool = False) -> Response:
        study_id = request.path_params["study"]
        return await self._post(request, lambda form: make(self._rooms.studies.get(study_id), form), photos=photos)

    async def _with(self, request: Request, make: Make) -> Response:
        if not self._access.known(request):
            return self._door({"password": NOT_YOURS}, 403)
        study_id = request.path_params["study"]
        return await run_in_threadpool(self._shown, lambda form: make(self._rooms.studies.get(study_id), form), Form())

    def _shown(self, make: Callable[[Form], Response], form: Form) -> Response:
        try:
            return make(form)
        except NotReady as error:
            return self._page("said.html", 503, title="Studies", words=str(error), again=True)
        except PersonalError as error:
            report(error)
            return self._page("said.html", 404, title="Studies", words=str(error))

    def _page(self, template: str, status: int, **values: Any) -> Response:
        return page(template, status=status, space=self._space, **values)
