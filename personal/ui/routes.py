"""Routes: all that may be asked of the app. `personal.ui.doors` answers whatever is not here: there is nothing."""

from __future__ import annotations

import re

UPLOAD = "/gradio_api/upload"
ROBOTS = "/robots.txt"
HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
OPERATOR = "/personal/operator"
SIGN_IN, SIGN_OUT, PASSWORD = "/personal/sign-in", "/personal/sign-out", "/personal/password"
PROVIDER, CALLBACK = "/personal/provider", "/personal/provider/back"
"""Where signing in with an account elsewhere begins, and where the provider sends the browser back to."""
PAGES = frozenset({"/", SIGN_IN, CALLBACK})
"""Where a person may come to by a link."""

READ = re.compile(
    r"/|/assets/[\w./-]+|/static/[\w./-]+|/theme\.css|/favicon\.ico|/config|/gradio_api/info|/gradio_api/app_id"
    r"|/gradio_api/startup-events|/gradio_api/heartbeat/[\w-]{1,64}|/gradio_api/queue/data|/gradio_api/upload_progress"
    r"|/gradio_api/file=(?!\s*(?:[A-Za-z][\w+.-]+:|//|\\\\))[^\0]{1,1024}|/gradio_api/call/\w{1,64}/[\w-]{1,64}"
    r"|/personal/export/[\w-]{1,64}|/personal/picture/[0-9a-f]{64}|/personal/names"
    r"|/personal/sign-in|/personal/provider(/back)?|/personal/operator|/personal/password"
    r"|/robots\.txt|/healthz|/readyz|/metrics|/personal/study\.(css|js)"
    r"|/study/[a-z0-9-]{1,40}(/preview|/withdrawn|/api/state)?|/studies(/[a-z0-9-]{1,40}(/[a-z]{1,16})?)?"
    r"|/study/[a-z0-9-]{1,40}/(p|preview)/[0-9a-f]{16}(/[a-z]{1,16}|/photo/[0-9a-f]{64})?"
)
"""What may be fetched: what the page asks for in a browser, gradio_client for named endpoints, and an operator."""

WRITE = re.compile(
    rf"/personal/visit|/personal/sign-(in|out)|/personal/operator|/personal/password|{UPLOAD}|/gradio_api/(queue/join|cancel|reset|call/(v2/)?\w{{1,64}})"
)
"""What may be posted to, and FORMS."""

FORMS = re.compile(
    r"/study/[a-z0-9-]{1,40}(/preview|/api/[a-z]{1,16}|/(p|preview)/[0-9a-f]{16}(/[a-z]{1,16})?)?"
    r"|/studies(/[a-z0-9-]{1,40}(/[a-z]{1,16})?)?"
)
"""Forms of user studies, some with photos in them: `personal.ui.study.forms` bounds them as it reads them."""

STUDIES = re.compile(r"/stud(y|ies)(/.*)?")
"""Where a person may come to by a link, too: fetching a study's page changes nothing of anybody else's."""

_PARTICULAR = re.compile(
    r"(/assets/|/static/|/heartbeat/|/file=|/call/|/export/|/picture/|/study/|/studies/).*", re.DOTALL
)


def route(path: str) -> str:
    """Return which route a path is of, without what is particular to a request; "" where it is of none."""
    if not (READ.fullmatch(path) or WRITE.fullmatch(path) or FORMS.fullmatch(path)):
        return ""
    return _PARTICULAR.sub(r"\1…", path)
