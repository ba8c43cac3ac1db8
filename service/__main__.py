"""``python -m service``."""

from service.cli import app

app(prog_name="deepfake-service")
