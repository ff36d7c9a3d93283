"""Who signs in: passwords and where they are kept, sign-ins that last, a proxy's word, and who is let in at all."""

from __future__ import annotations

import asyncio
import io
import json
import re
import threading
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from personal import cli
from personal.concepts import Turn
from personal.conversations import Conversation, Entry
from personal.errors import AccountError, PersonalError, SettingsError, StoreError
from personal.owners import lasts, user_of
from personal.remember.sign_ins import PER_OWNER, SignIns
from personal.remember.users import Users
from personal.settings import load
from personal.ui import accounts
from personal.ui.accounts import Accounts, Attempts, TooManyAttempts
from personal.ui.context import AppContext
from personal.ui.doors import outermost
from personal.ui.history import Kept
from personal.ui.sessions import COOKIE, Sessions
from personal.ui.sign_in import SignInPage
from personal.ui.visitors import Visitors
from tests.conftest import BLUE, GREEN, RED, picture

SHARED = {"GRADIO_SERVER_NAME": "0.0.0.0"}
PROXY = {"PERSONAL_TRUSTED_PROXIES": "127.0.0.1", "PERSONAL_USER_HEADER": "X-Forwarded-User"}
ANNA, BEN = ("anna", "correct horse"), ("Ben Ö.", "battery staple")


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    """Hashes of the least that argon2 takes; what is real is tried once, by its own test."""
    import argon2

    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(argon2, "PasswordHasher", lambda: weak)


class Shared:
    """An app that others can reach: doors, visitors, accounts, sign-in page, and a page that says whose it is."""

    def __init__(self, folder, assistant=None, **environment):
        self.settings = load({**SHARED, **environment, "PERSONAL_DATA_DIR": str(folder)})
        self.assistant = assistant
        self.start()

    def start(self):
        """Start, or start again: what is in memory is gone."""
        self.erased = []
        opening = SimpleNamespace(assistant=self.assistant, error=None, settings=self.settings)
        library = self.assistant.library if self.assistant else None
        self.sessions = Sessions(
            shared=self.settings.shared,
            grace_s=60,
            erase=self._erase,
            keep=lambda owner: Kept(lambda: library, owner),
        )
        self.accounts = Accounts(self.settings)
        context = AppContext(opening, self.sessions, self.accounts)
        self.app = Starlette(
            routes=[
                Route("/", self.home),
                Route("/gradio_api/heartbeat/{page}", self.home),
                *SignInPage(context).routes(),
            ],
            middleware=[
                Middleware(
                    Visitors,
                    sessions=self.sessions,
                    uploads=self.settings.data_dir / "u",
                    accounts=self.accounts,
                    most=self.settings.max_visitors,
                )
            ],
            lifespan=outermost(self.settings),
        )

    def _erase(self, owner):
        self.erased.append(owner)
        if self.assistant:
            self.assistant.erase(owner)

    async def home(self, request):
        visitor = request.scope["visitor"]
        return JSONResponse({"owner": visitor.owner if visitor else "", "name": visitor.name if visitor else ""})


class Browser:
    """A browser: it keeps cookies and follows redirects. `send` are headers of all that it asks for."""

    def __init__(self, app, client="203.0.113.9", **send):
        self.app, self.client, self.cookies = app, client, httpx.Cookies()
        self.send = {name.replace("_", "-"): value for name, value in send.items()}

    def ask(self, method, path, follow=True, **more):
        async def asked():
            transport = httpx.ASGITransport(self.app.app, client=(self.client, 5000))
            async with (
                self.app.app.router.lifespan_context(self.app.app),
                httpx.AsyncClient(
                    transport=transport, base_url="http://lab.example", cookies=self.cookies, follow_redirects=follow
                ) as http,
            ):
                answer = await http.request(method, path, headers=self.send | more.pop("headers", {}), **more)
                self.cookies = http.cookies
                return answer

        self.app.app.middleware_stack = self.app.app.build_middleware_stack()
        return asyncio.run(asked())

    def open(self):
        """Open the page, and return whose it is: the visitor that its cookie stands for."""
        answer = self.ask("GET", "/")
        return self.app.sessions.known(self.cookies.get(COOKIE, "")) if answer.url.path == "/" else None

    def sign_in(self, name, password, **more):
        return self.ask("POST", "/personal/sign-in", data={"name": name, "password": password, **more})

    def sign_out(self, **form):
        return self.ask("POST", "/personal/sign-out", data=form)

    def is_heard(self):
        """Whether the page's requests still reach the app."""
        return self.ask("GET", "/gradio_api/heartbeat/page").status_code != 410


@pytest.fixture
def app(tmp_path, assistant):
    made = Shared(tmp_path / "data", assistant)
    for name, password in (ANNA, BEN):
        made.accounts.users.add(name, password)
    return made


# -- users and their passwords -----------------------------------------------------------------------------------------


def test_a_users_password_is_kept_as_an_argon2_hash_alone_in_a_file_for_this_user_alone(tmp_path, monkeypatch):
    monkeypatch.undo()
    Users(tmp_path).add(*ANNA)
    text = (tmp_path / "users.json").read_text()
    assert "$argon2id$v=19$m=65536,t=3,p=4$" in text
    assert ANNA[1] not in text
    assert (tmp_path / "users.json").stat().st_mode & 0o077 == 0
    assert Users(tmp_path).check(*ANNA).name == "anna"
    assert Users(tmp_path).check("anna", "wrong horse") is None


def test_a_name_is_the_same_however_it_is_written_and_belongs_to_one_user(tmp_path):
    users = Users(tmp_path)
    users.add("Zoë", "correct horse")
    assert users.check(" ZOË ", "correct horse")
    with pytest.raises(AccountError, match="already"):
        users.add("zoe\u0308", "correct horse")


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "two\nlines", "nul\0"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(AccountError, match="name has 1 to 64"):
        Users(tmp_path).add(name, "correct horse")


@pytest.mark.parametrize("password", ["", "seven77", "x" * 257])
def test_a_password_that_is_too_short_or_long_is_refused(tmp_path, password):
    with pytest.raises(AccountError, match="8 to 256"):
        Users(tmp_path).add("anna", password)
    assert Users(tmp_path).all() == ()


def test_the_running_app_sees_what_the_shell_changes(tmp_path):
    here, shell = Users(tmp_path), Users(tmp_path)
    assert here.all() == ()
    shell.add(*ANNA)
    assert here.check(*ANNA)
    shell.set_password("anna", "another horse")
    assert here.check(*ANNA) is None
    shell.remove("anna")
    assert here.all() == ()


@pytest.mark.parametrize("damage", ["{", "[]", '{"users": [{"name": "anna"}]}', '{"users": [3]}', "[" * 100_000])
def test_a_damaged_file_of_users_lets_nobody_in_and_says_so(tmp_path, damage):
    (tmp_path / "users.json").write_text(damage)
    with pytest.raises(StoreError, match="damaged"):
        Users(tmp_path).all()


def test_a_name_that_is_not_there_costs_as_much_as_one_that_is(tmp_path, monkeypatch):
    import argon2

    verified = []
    hasher = type(argon2.PasswordHasher())
    verify = hasher.verify
    monkeypatch.setattr(hasher, "verify", lambda self, *given: verified.append(given[0]) or verify(self, *given))
    users = Users(tmp_path)
    users.add(*ANNA)
    for name in ("anna", "nobody"):
        assert users.check(name, "wrong horse") is None
    assert [hashed.rsplit("$", 2)[0] for hashed in verified] == ["$argon2id$v=19$m=8,t=1,p=1"] * 2


def test_the_shell_adds_lists_and_removes_users_and_changes_their_passwords(tmp_path, capsys, monkeypatch):
    def shell(*arguments, typed=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = cli.main(["users", *arguments, "--data-dir", str(tmp_path), "--json"])
        said = capsys.readouterr()
        return json.loads(said.out) if code == 0 else said.err

    assert shell("list") == []
    (anna,) = shell("add", "anna", typed="correct horse\n")
    assert anna == {"name": "anna"}, "a password that was given is not shown"
    ben, cleo = shell("add", "ben", "cleo", "--generate")
    users = Users(tmp_path)
    assert users.check("anna", "correct horse")
    assert users.check("ben", ben["password"])
    assert ben["password"] != cleo["password"]
    assert [one["name"] for one in shell("list")] == ["anna", "ben", "cleo"]
    shell("passwd", "anna", typed="another horse\n")
    assert users.check("anna", "another horse")
    assert shell("remove", "cleo") == {"removed": "cleo", "erased": False}
    assert "There is no user cleo" in shell("remove", "cleo")
    assert "8 to 256" in shell("add", "dora", typed="short\n")
    assert "already" in shell("add", "ANNA", "--generate")
    assert [one["name"] for one in shell("list")] == ["anna", "ben"]


# -- sign-ins ----------------------------------------------------------------------------------------------------------


def test_a_sign_in_outlasts_a_restart_and_its_token_is_not_on_disk(tmp_path):
    token = SignIns(tmp_path, 30).add("user-1", "anna", "proof")
    assert token not in (tmp_path / "sign-ins.json").read_text()
    assert SignIns(tmp_path, 30).get(token).name == "anna"
    assert SignIns(tmp_path, 30).get(token[:-1]) is None


def test_a_sign_in_ends_after_its_days_and_an_owner_has_so_many(tmp_path, monkeypatch):
    sign_ins = SignIns(tmp_path, 1)
    first = sign_ins.add("user-1", "anna", "proof")
    others = [sign_ins.add("user-1", "anna", "proof") for _ in range(PER_OWNER)]
    assert sign_ins.get(first) is None
    assert all(sign_ins.get(token) for token in others)
    now = accounts.time.time()
    monkeypatch.setattr("personal.remember.sign_ins.time.time", lambda: now + 86401)
    assert [token for token in others if sign_ins.get(token)] == []


@pytest.mark.parametrize("damage", ["{", "[]", "3", '{"a": 3}', '{"a": {"owner": ""}}'])
def test_damaged_sign_ins_sign_everybody_out(tmp_path, damage):
    (tmp_path / "sign-ins.json").write_text(damage)
    assert SignIns(tmp_path, 30).get("a") is None


def test_wrong_passwords_are_counted_and_forgotten_after_a_while(monkeypatch):
    attempts = Attempts(2)
    for _ in range(5):
        attempts.begin("here")
        attempts.right("here")
    for _ in range(2):
        attempts.begin("here")
    with pytest.raises(TooManyAttempts, match="Try again in 10 minutes"):
        attempts.begin("here")
    attempts.begin("elsewhere")
    now = accounts.time.monotonic()
    monkeypatch.setattr(accounts.time, "monotonic", lambda: now + accounts.WINDOW_S + 1)
    attempts.begin("here")


# -- signing in and out ------------------------------------------------------------------------------------------------


def test_whoever_signs_in_finds_what_is_theirs_on_every_browser_and_after_a_restart(app, assistant):
    browser = Browser(app)
    guest = browser.open()
    assert guest.owner.startswith("visitor-")
    assert "along" not in browser.ask("GET", "/personal/sign-in").text
    browser.sign_in(*ANNA)
    anna = browser.open()
    assert (anna.name, lasts(anna.owner)) == ("anna", True)
    assistant.remember(anna.owner, "bo", [picture(RED)])
    other = Browser(app)
    other.sign_in("ANNA", ANNA[1])
    assert other.open().owner == anna.owner
    app.start()
    assert browser.open().owner == anna.owner
    assert [concept.name for concept in assistant.concepts(browser.open().owner)] == ["bo"]
    app.sessions.sweep()
    assert assistant.concepts(anna.owner)


def test_two_who_sign_in_never_see_each_others(app, assistant):
    one, other = Browser(app), Browser(app)
    one.sign_in(*ANNA)
    other.sign_in(*BEN)
    assert one.open().owner != other.open().owner
    assert other.open().name == "Ben Ö."
    other.cookies.set(COOKIE, one.cookies[COOKIE], domain="lab.example")
    assert other.ask("GET", "/").json() == {"owner": "", "name": ""}, "another's page by their cookie"


@pytest.mark.parametrize(
    ("name", "password"),
    [("anna", "wrong horse"), ("nobody", "correct horse"), ("anna", ""), ("", ""), ("a\0", "x" * 999)],
)
def test_a_wrong_name_or_password_is_told_in_the_same_words_and_signs_nobody_in(app, name, password):
    browser = Browser(app)
    answer = browser.sign_in(name, password)
    assert answer.status_code == 401
    assert re.search("password is wrong", answer.text)
    assert "personal-sign-in" not in browser.cookies
    assert browser.open().owner.startswith("visitor-")


def test_so_many_wrong_passwords_of_an_address_are_taken_and_the_time_is_told(app, monkeypatch):
    monkeypatch.setattr(app.accounts, "_of_addresses", Attempts(3))
    browser = Browser(app)
    assert [browser.sign_in("anna", "wrong").status_code for _ in range(4)] == [401, 401, 401, 429]
    answer = browser.sign_in(*ANNA)
    assert answer.status_code == 429
    assert "Try again in 10 minutes" in answer.text
    assert Browser(app, client="203.0.113.10").sign_in(*ANNA).status_code == 200


def test_a_guest_who_signs_in_may_take_their_concepts_along(app, assistant):
    browser = Browser(app)
    guest = browser.open()
    assistant.remember(guest.owner, "bo", [picture(RED), picture(RED, dot=3)], "dog", "Loves the beach.")
    bo = assistant.concepts(guest.owner)[0]
    assistant.disown(guest.owner, bo.id, picture(BLUE), (0.0, 0.0, 1.0, 1.0))
    assistant.remember(guest.owner, "mia", [picture(GREEN)])
    assert "Take my 2 concepts along" in browser.ask("GET", "/personal/sign-in").text
    browser.sign_in(*ANNA, along="1")
    anna = browser.open()
    brought = {concept.name: concept for concept in assistant.concepts(anna.owner)}
    assert sorted(brought) == ["bo", "mia"]
    assert (len(brought["bo"].views), len(brought["bo"].negatives), brought["bo"].info) == (2, 1, "Loves the beach.")
    assert assistant.look(anna.owner, picture(RED)).matches[0].concept.name == "bo"
    assert app.erased == [guest.owner]
    assert assistant.concepts(guest.owner) == []


def test_a_guest_who_leaves_their_concepts_behind_leaves_nothing(app, assistant, tmp_path):
    browser = Browser(app)
    guest = browser.open()
    assistant.remember(guest.owner, "bo", [picture(RED)])
    browser.sign_in(*ANNA)
    assert assistant.concepts(browser.open().owner) == []
    assert not (tmp_path / "data" / "owners" / guest.owner).exists()


def test_signing_out_ends_this_browsers_pages_and_no_others(app):
    one, other = Browser(app), Browser(app)
    for browser in (one, other):
        browser.sign_in(*ANNA)
        browser.open()
    token = one.cookies["personal-sign-in"]
    one.sign_out()
    assert "personal-sign-in" not in one.cookies
    assert one.open().owner.startswith("visitor-")
    assert other.is_heard()
    thief = Browser(app)
    thief.cookies.set("personal-sign-in", token, domain="lab.example")
    assert thief.open().owner.startswith("visitor-")


def test_signing_out_everywhere_ends_every_browser_at_once(app):
    one, other = Browser(app), Browser(app)
    for browser in (one, other):
        browser.sign_in(*ANNA)
        browser.open()
    one.sign_out(everywhere="1")
    assert not other.is_heard()
    assert other.open().owner.startswith("visitor-")


def test_a_changed_password_or_a_removed_user_signs_out(app):
    one, other = Browser(app), Browser(app)
    one.sign_in(*ANNA)
    other.sign_in(*BEN)
    assert one.open().name
    assert other.open().name
    app.accounts.users.set_password("anna", "another horse")
    app.accounts.users.remove(BEN[0])
    for browser in (one, other):
        assert not browser.is_heard()
        assert browser.open().owner.startswith("visitor-")


def test_a_user_changes_their_password_which_signs_every_other_browser_out(app):
    one, other = Browser(app), Browser(app)
    for browser in (one, other):
        browser.sign_in(*ANNA)
        browser.open()
    form = {"old": ANNA[1], "new": "another horse", "again": "another horse"}
    for wrong, words in (
        ({"old": "wrong horse"}, "password is wrong"),
        ({"again": "another house"}, "not the same"),
        ({"new": "short", "again": "short"}, "8 to 256"),
    ):
        answer = one.ask("POST", "/personal/password", data=form | wrong)
        assert answer.status_code == 400
        assert words in answer.text
    assert other.is_heard()
    one.ask("POST", "/personal/password", data=form)
    assert one.open().name == "anna"
    assert not other.is_heard()
    assert other.open().owner.startswith("visitor-")
    assert Browser(app).sign_in(*ANNA).status_code == 401
    assert Browser(app).sign_in("anna", "another horse").status_code == 200


def test_who_has_no_password_of_their_own_changes_none(app):
    browser = Browser(app)
    browser.open()
    assert browser.ask("GET", "/personal/password", follow=False).headers["location"] == "/"
    answer = browser.ask(
        "POST", "/personal/password", follow=False, data={"old": ANNA[1], "new": "x" * 9, "again": "x" * 9}
    )
    assert answer.headers["location"] == "/"
    assert app.accounts.users.check(*ANNA)


def test_users_who_are_added_at_once_are_all_there(tmp_path):
    names = [f"user {number}" for number in range(12)]
    threads = [threading.Thread(target=lambda name=name: Users(tmp_path).add(name, "correct horse")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(user.name for user in Users(tmp_path).all()) == sorted(names)


def test_another_tab_that_was_a_guests_is_told_and_sees_nothing_of_who_signed_in(app):
    browser = Browser(app)
    guest = browser.open()
    browser.sign_in(*ANNA)
    browser.open()
    answer = browser.ask("GET", "/gradio_api/heartbeat/old", headers={"x-personal": guest.key})
    assert answer.status_code == 410
    visit = browser.ask("POST", "/personal/visit", headers={"x-personal": guest.key}).json()
    assert visit["key"] == browser.open().key


def test_chats_of_who_signs_in_are_kept_and_a_guests_are_not(app, tmp_path):
    guest, browser = Browser(app), Browser(app)
    browser.sign_in(*ANNA)
    for visitor in (guest.open(), browser.open()):
        visitor.history.add(Conversation(entries=[Entry(Turn("What does she love?"))]))
    app.start()
    assert [one.words for one in browser.open().history.all()] == ["what does she love? what does she love?"]
    assert guest.open().history.all() == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://lab.example:8080"])
@pytest.mark.parametrize("path", ["/personal/sign-in", "/personal/sign-out"])
def test_another_sites_page_signs_nobody_in_or_out(app, origin, path):
    browser = Browser(app)
    browser.sign_in(*ANNA)
    answer = browser.ask("POST", path, data={"name": BEN[0], "password": BEN[1]}, headers={"origin": origin})
    assert answer.status_code == 403
    answer = browser.ask("POST", path, data={}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert browser.open().name == "anna"


def test_the_page_to_sign_in_on_has_no_script_and_nothing_from_elsewhere_and_shows_what_was_typed_as_text(app):
    answer = Browser(app).sign_in('"><script>alert(1)</script>', "wrong horse")
    assert "<script" not in answer.text
    assert "&lt;script&gt;" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"name=" + b"a" * 9000, b"&".join(b"a%d=1" % n for n in range(99))])
def test_a_form_that_makes_no_sense_signs_nobody_in(app, body):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert Browser(app).ask("POST", "/personal/sign-in", content=body, headers=headers).status_code == 401
    assert Browser(app).ask("POST", "/personal/sign-out", content=body, headers=headers).status_code == 200


def test_the_cookie_of_a_sign_in_cannot_be_read_by_scripts_nor_sent_by_other_sites(app):
    answer = Browser(app).ask("POST", "/personal/sign-in", follow=False, data={"name": ANNA[0], "password": ANNA[1]})
    (header,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("personal-sign-in=")]
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    assert f"Max-Age={30 * 86400}" in header


# -- who is let in -----------------------------------------------------------------------------------------------------


def test_without_guests_whoever_has_not_signed_in_gets_to_the_page_for_that_and_no_further(tmp_path, assistant):
    app = Shared(tmp_path / "data", assistant, PERSONAL_GUESTS="0")
    app.accounts.users.add(*ANNA)
    browser = Browser(app)
    assert browser.open() is None
    answer = browser.ask("GET", "/")
    assert (answer.url.path, answer.status_code) == ("/personal/sign-in", 200)
    assert "Go on as a guest" not in answer.text
    assert browser.ask("POST", "/personal/visit").status_code == 401
    assert browser.ask("GET", "/config").status_code == 401
    assert not browser.is_heard()
    assert app.sessions.count() == (0, 0)
    browser.sign_in(*ANNA)
    assert browser.open().name == "anna"
    browser.sign_out()
    assert browser.open() is None


def test_a_class_shares_a_password_and_everybody_in_it_is_a_guest_of_their_own(tmp_path, assistant):
    app = Shared(tmp_path / "data", assistant, PERSONAL_PASSWORD="biology 4b")
    one, other = Browser(app), Browser(app)
    for browser in (one, other):
        assert browser.open() is None
        assert 'name="name"' not in browser.ask("GET", "/").text
        assert browser.sign_in("", "biology 4c").status_code == 401
        browser.sign_in("", "biology 4b")
    assert one.open().owner != other.open().owner
    assert not lasts(one.open().owner)
    app.start()
    assert one.open(), "known after a restart"
    changed = Shared(tmp_path / "data", assistant, PERSONAL_PASSWORD="biology 5b")
    one.app = changed
    assert one.open() is None, "until the password is another"


def test_a_proxy_says_who_somebody_is_and_nobody_else_does(tmp_path, assistant):
    app = Shared(tmp_path / "data", assistant, **PROXY, PERSONAL_GUESTS="0")
    by_proxy = {"client": "127.0.0.1", "x_forwarded_for": "203.0.113.9"}
    anna, again = (Browser(app, **by_proxy, x_forwarded_user="anna@lab.example") for _ in range(2))
    ben = Browser(app, **by_proxy, x_forwarded_user="ben@lab.example")
    assert anna.open().owner == again.open().owner == user_of("proxy", "anna@lab.example")
    assert anna.open().owner != ben.open().owner
    assert anna.open().name == "anna@lab.example"
    for stranger in (
        Browser(app, client="203.0.113.9", x_forwarded_user="anna@lab.example"),
        Browser(app, client="203.0.113.9", x_forwarded_for="127.0.0.1", x_forwarded_user="anna@lab.example"),
        Browser(app, client="127.0.0.1", x_forwarded_user="anna@lab.example"),
        Browser(app, **by_proxy),
        Browser(app, **by_proxy, x_forwarded_user=""),
        Browser(app, **by_proxy, x_forwarded_user="x" * 300),
    ):
        assert stranger.open() is None
    ben.cookies = anna.cookies
    assert ben.open().name == "ben@lab.example", "a cookie of another's does not count"


def test_a_header_that_comes_twice_says_nothing():
    from personal.ui.proxies import resolve

    for names, told in (([b"a"], "a"), ([b"a", b"b"], ""), ([b"a", b"a"], "")):
        headers = [(b"x-forwarded-for", b"203.0.113.9"), *((b"X-Forwarded-User", name) for name in names)]
        scope = {"headers": headers, "client": ("127.0.0.1", 1)}
        resolve(scope, load(PROXY).trusted_proxies, user_header="X-Forwarded-User")
        assert scope["told_user"] == told
        assert scope["headers"] == []


@pytest.mark.parametrize(
    "environment",
    [
        {"PERSONAL_TRUSTED_PROXIES": ""},
        {"SPACE_ID": "somebody/personal"},
        {"PERSONAL_PROXY_FOR_OWNER": "1"},
    ],
)
def test_a_header_that_anybody_could_send_is_no_setting(environment):
    with pytest.raises(SettingsError, match="PERSONAL_USER_HEADER"):
        load({**PROXY, **environment})


def test_on_ones_own_machine_there_is_nobody_to_sign_in_as(tmp_path, assistant):
    app = Shared(
        tmp_path / "data", assistant, GRADIO_SERVER_NAME="127.0.0.1", PERSONAL_GUESTS="0", PERSONAL_PASSWORD="x"
    )
    app.accounts.users.add(*ANNA)
    who = app.accounts.who({}, {})
    assert (who.owner, who.admitted) == ("", True)
    assert not app.accounts.offered


def test_a_damaged_file_of_users_signs_everybody_out_and_lets_nobody_in(app, tmp_path):
    browser = Browser(app)
    browser.sign_in(*ANNA)
    (tmp_path / "data" / "users.json").write_text("{")
    assert browser.open().owner.startswith("visitor-")
    with pytest.raises(PersonalError):
        app.accounts.sign_in(*ANNA, "203.0.113.9")


def test_nothing_in_the_data_folder_outside_the_users_file_tells_a_name(app, assistant, tmp_path):
    browser = Browser(app)
    browser.sign_in(*ANNA)
    assistant.remember(browser.open().owner, "bo", [picture(RED)])
    paths = [str(path.relative_to(tmp_path)) for path in (tmp_path / "data").rglob("*")]
    assert [path for path in paths if "anna" in path] == []
    names = {one["name"] for one in json.loads((tmp_path / "data" / "sign-ins.json").read_text()).values()}
    assert names == {"anna"}
