"""Start the app: settings → Assistant → page. This is what `make run` and a Space start."""

from personal import settings
from personal.ui.app import serve

if __name__ == "__main__":
    serve(settings.load())
