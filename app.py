"""Start the app: settings → Assistant → page. This is what `make run` and a Space start."""

from personal import settings
from personal.ui.app import Server


def main() -> None:
    """Serve the app until it is interrupted."""
    knobs = settings.load()
    if knobs.zero_gpu:
        from personal.generate import zero

        zero.announce()
    server = Server(knobs)
    where = server.start()
    print(f"Personal is at {where} — your concepts are kept in {knobs.data_dir}", flush=True)
    server.wait()


if __name__ == "__main__":
    main()
