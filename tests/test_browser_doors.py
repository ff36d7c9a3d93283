"""What another site's page can do with the app in a real browser, and a script that was slipped in: nothing."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.test_browser import chromium, served, visit

__all__ = ["chromium"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with served(tmp_path_factory.mktemp("framed") / "data") as address:
        yield address


@pytest.fixture
def foreign(app):
    """Another site on this machine, whose page frames the app and asks it for all it can think of."""
    page = f"""<!doctype html><title>foreign</title>
      <iframe id=framed src="{app}"></iframe><img id=image src="{app}favicon.ico">
      <script>
        const tried = {{}};
        const attempt = (name, what) => what.then((answer) => tried[name] = answer, () => tried[name] = "refused");
        const asked = [
          attempt("config", fetch("{app}config", {{ credentials: "include" }}).then((r) => r.text())),
          attempt("join", fetch("{app}gradio_api/queue/join", {{ method: "POST", credentials: "include",
            headers: {{ "content-type": "application/json" }}, body: "{{}}" }}).then((r) => r.text())),
          attempt("simple", fetch("{app}gradio_api/cancel", {{ method: "POST", body: "{{}}" }}).then((r) => r.text())),
          attempt("blind", fetch("{app}gradio_api/cancel", {{ method: "POST", mode: "no-cors", body: "{{}}" }})
            .then((r) => r.type)),
          attempt("script", new Promise((done, failed) => {{
            const script = document.createElement("script");
            script.src = "{app}theme.css"; script.onload = () => done("loaded"); script.onerror = failed;
            document.head.append(script); }})),
        ];
        window.tried = Promise.all(asked).then(() => tried);
      </script>"""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", f"http://localhost:{server.server_port}/"
    server.shutdown()


@pytest.mark.parametrize("which", [0, 1], ids=["other port", "other name"])
def test_framed_in_a_foreign_page_the_local_app_does_not_work(app, foreign, chromium, which):
    context = chromium.new_context()
    visit(context, app).close()  # the browser has the owner's cookie
    page = context.new_page()
    page.goto(foreign[which])
    tried = page.evaluate("() => window.tried")
    assert tried == dict.fromkeys(("config", "join", "simple", "blind", "script"), "refused")
    frame = next(frame for frame in page.frames if frame.parent_frame)
    frame.wait_for_load_state()
    assert frame.locator("gradio-app, #main, textarea").count() == 0
    assert page.evaluate("() => document.querySelector('#image').naturalWidth") == 0
    context.close()


def test_its_own_page_breaks_none_of_its_rules_and_a_script_slipped_in_does_not_run(app, chromium):
    context = chromium.new_context()
    context.add_init_script(
        "window.broken = []; document.addEventListener('securitypolicyviolation', (event) =>"
        " window.broken.push(event.violatedDirective + ' ' + event.blockedURI));"
    )
    page = visit(context, app)
    for name in ("Concepts", "Library", "Evaluate", "Settings", "Chat"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(200)
    assert page.evaluate("() => window.broken") == []
    page.evaluate(
        """() => {
          const slipped = document.createElement("div");
          slipped.innerHTML = "<img src='data:,' onerror='window.slipped = 1'>";
          document.body.append(slipped);
          document.body.append(Object.assign(document.createElement("script"), { textContent: "window.slipped = 2" }));
        }"""
    )
    page.wait_for_function("() => window.broken.length >= 2")
    assert page.evaluate("() => window.slipped") is None
    assert page.evaluate("() => fetch('https://example.com/').then(() => 'sent', () => 'kept')") == "kept"
    assert any("connect-src" in directive for directive in page.evaluate("() => window.broken"))
    context.close()
