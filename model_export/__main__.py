"""``python -m model_export``."""

from model_export.cli import app

if __name__ == "__main__":
    app(prog_name="deepfake-models")
